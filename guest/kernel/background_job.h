#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/command.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// Runs a command in a thread of its own, which the shell does not wait for; `line` is all of it, as it was
/// typed. What it prints goes to the terminal, from where nothing reaches it, and so does one line when it
/// has ended. The thread's number.
Result<std::uint32_t> start_background_job(const Command& command, std::string_view line, Console& terminal);

}  // namespace exo::guest
