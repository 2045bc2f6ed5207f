// The command of a box: started with pipes or a terminal of its own.
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>

#include "request.h"

namespace exo::box {

/// Our ends; -1 where there is none. With a terminal, `input` and `output` are the same descriptor.
struct Command {
    pid_t process = -1;
    int input = -1;
    int output = -1;
    int errors = -1;
};

/// Starts the command in a session of its own. A command that cannot be executed ends with 127 (not found) or
/// 126, as in a shell.
std::expected<Command, std::string> start_command(const Request& request);

}  // namespace exo::box
