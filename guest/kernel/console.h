#pragma once

#include <cstdint>
#include <optional>

#include "guest/kernel/format.h"

namespace exo::guest {

/// The line to the person at the machine. Text goes out at once; a line ends with '\n' (a serial line adds
/// the carriage return itself).
class Console : public TextSink {
  public:
    /// Returns when everything written has left the machine.
    virtual void flush() {}
    /// The next character that came in, if any.
    virtual std::optional<char> read() = 0;
    /// Sleeps until a character is there to be read, or the clock (`TimeSource::now_ns`) has reached the
    /// deadline. False when the deadline passed.
    virtual bool wait_for_input(std::uint64_t deadline_ns) = 0;
};

/// The console in use. Before one is installed, text is dropped and nothing comes in.
Console& console();
/// `installed` outlives its use; nullptr takes it away.
void install_console(Console* installed);

/// Formats to the console.
template <typename... Args>
void print(FormatString<std::type_identity_t<Args>...> text, const Args&... args) {
    format(console(), text, args...);
}

/// Tells of something that is wrong but does not stop the kernel, on a line of its own: "warning: text".
template <typename... Args>
void warn(FormatString<std::type_identity_t<Args>...> text, const Args&... args) {
    console().write("warning: ");
    format(console(), text, args...);
    console().write("\n");
}

}  // namespace exo::guest
