#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "guest/kernel/command.h"
#include "guest/kernel/command_console.h"
#include "guest/kernel/line_editor.h"

namespace exo::guest {

/// Finds and runs commands, from the kernel's command line or from a person at the terminal.
class Shell final : public Completer {
  public:
    static constexpr std::string_view prompt = "exo> ";

    explicit Shell(Console& terminal, std::span<const Command* const> commands = registered_commands())
        : terminal_(terminal), commands_(commands) {}

    /// Runs the commands of a line, which semicolons separate, and gives the status of the last one, 0 to
    /// 124. With `interactive` false they are not to print anything in passing. A command whose last word is
    /// `&` runs in the background.
    unsigned run(std::string_view line, bool interactive = false);

    /// Reads lines and runs them until a command leaves or the person does with Ctrl-D: the status to end
    /// the machine with.
    unsigned interact();

    /// Names of commands, at the start of a line and after `help`.
    std::size_t complete(std::string_view line, std::span<std::string_view> found) const override;

  private:
    unsigned run_line(std::string_view line, CommandConsole& console);
    unsigned run_command(std::span<const std::string_view> words, std::string_view text,
                         CommandConsole& console);
    unsigned run_in_background(const Command& command, std::string_view text, CommandConsole& console);

    Console& terminal_;
    std::span<const Command* const> commands_;
};

/// What the kernel does once it is up: runs `command`, or, when there is none, the interactive shell. The
/// status to end the machine with.
unsigned run_session(Console& terminal, std::string_view command);

}  // namespace exo::guest
