#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/kernel/console.h"

namespace exo::guest {

/// The terminal as a command sees it: it can ask whether someone pressed Ctrl-C, and can end the session.
/// What was typed while a command ran is kept for the shell.
class CommandConsole final : public Console {
  public:
    /// `interactive`: a person at the terminal gave the command, so passing output such as progress is
    /// welcome.
    CommandConsole(Console& terminal, bool interactive) : terminal_(terminal), interactive_(interactive) {}

    void write(std::string_view text) override { terminal_.write(text); }
    void flush() override { terminal_.flush(); }
    std::optional<char> read() override;
    bool wait_for_input(std::uint64_t deadline_ns) override;

    bool interactive() const { return interactive_; }

    /// Forgets an interruption of an earlier command.
    void begin_command() { interrupted_ = false; }
    /// Was Ctrl-C pressed since the command began? To be asked every now and then by what takes long.
    bool interrupted();

    /// Ends the session after this command: the machine will end with this status.
    void leave(unsigned status) { leave_status_ = status; }
    std::optional<unsigned> leave_status() const { return leave_status_; }

  private:
    Console& terminal_;
    bool interactive_;
    bool interrupted_ = false;
    std::optional<unsigned> leave_status_;
    std::array<char, 1024> typed_ahead_;
    std::size_t typed_start_ = 0;
    std::size_t typed_count_ = 0;
};

}  // namespace exo::guest
