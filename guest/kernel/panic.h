#pragma once

#include <cstdint>

#include "guest/kernel/format.h"
#include "guest/kernel/symbols.h"

namespace exo::guest {

/// The kernel's last words, and its end. Interrupts are off from the first line on, and the other processors
/// stopped. A panic inside a panic
/// says so in one line, a third one says nothing more; in every case the machine ends with the panic status.
class PanicReport {
  public:
    PanicReport();
    TextSink& sink() { return *sink_; }
    /// Prints the way here: `place`, and the callers from the frame on that `frame` (an RBP) points to. Then
    /// the trailer, and the machine ends.
    [[noreturn]] void finish(const Location& place, std::uintptr_t frame);

  private:
    TextSink* sink_;
};

/// Ends the kernel because something is wrong that it cannot go on with: "KERNEL PANIC: text".
template <typename... Args>
[[noreturn, gnu::noinline]] void panic(FormatString<std::type_identity_t<Args>...> text,
                                       const Args&... args) {
    PanicReport report;
    format(report.sink(), text, args...);
    const auto* const frame = static_cast<const std::uintptr_t*>(__builtin_frame_address(0));
    report.finish({.address = frame[1], .is_return = true}, frame[0]);
}

}  // namespace exo::guest
