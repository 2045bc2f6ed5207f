#include "guest/kernel/command_console.h"

namespace exo::guest {
namespace {
constexpr char ctrl_c = 3;
}

std::optional<char> CommandConsole::read() {
    if (typed_count_ == 0) return terminal_.read();
    const char c = typed_ahead_[typed_start_];
    typed_start_ = (typed_start_ + 1) % typed_ahead_.size();
    --typed_count_;
    return c;
}

bool CommandConsole::wait_for_input(std::uint64_t deadline_ns) {
    return typed_count_ > 0 || terminal_.wait_for_input(deadline_ns);
}

bool CommandConsole::interrupted() {
    while (const auto c = terminal_.read()) {
        if (*c == ctrl_c) {
            // As on any terminal, what was typed before is forgotten with it.
            interrupted_ = true;
            typed_count_ = 0;
        } else if (typed_count_ < typed_ahead_.size()) {
            typed_ahead_[(typed_start_ + typed_count_++) % typed_ahead_.size()] = *c;
        }
    }
    return interrupted_;
}

}  // namespace exo::guest
