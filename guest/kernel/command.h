#pragma once

#include <span>
#include <string_view>

#include "guest/kernel/command_console.h"

namespace exo::guest {

/// What a command ends with; it becomes the exit status of the machine when the command was given on the
/// kernel's command line.
namespace status {
inline constexpr unsigned ok = 0;
inline constexpr unsigned failure = 1;
inline constexpr unsigned bad_usage = 2;
/// No such command: the highest status that a guest may end with, as shells end with 127.
inline constexpr unsigned unknown_command = 124;
}  // namespace status

/// The words after the command's name.
using Arguments = std::span<const std::string_view>;

/// A shell command. Each is a file of its own in guest/apps that registers itself:
///
///     constexpr Command command{"name", "[--json] [disk]", "what it does, in one line", run};
///     [[gnu::section("exo_commands"), gnu::used, gnu::retain]]
///     constexpr const Command* registration = &command;
struct Command {
    std::string_view name;
    std::string_view usage;    ///< what follows the name, empty when nothing may
    std::string_view summary;  ///< one line
    unsigned (*run)(Arguments arguments, CommandConsole& console);
    std::string_view details = {};  ///< more for `help name`: whole lines
};

/// Every registered command, in no particular order.
std::span<const Command* const> registered_commands();

/// Prints "name: reason" and how to use the command; the status to end with.
template <typename... Args>
unsigned bad_usage(CommandConsole& console, const Command& command,
                   FormatString<std::type_identity_t<Args>...> reason, const Args&... args) {
    format(console, "{}: ", command.name);
    format(console, reason, args...);
    format(console, "\nusage: {}{}{}\n", command.name, command.usage.empty() ? "" : " ", command.usage);
    return status::bad_usage;
}

/// A switch that a command knows: "--json". `value`, where given, takes the word after it.
struct CommandOption {
    std::string_view name;
    bool* set = nullptr;
    std::string_view* value = nullptr;
};

/// Sorts the arguments of a command into its options and the rest, of which there may be as many as `rest`
/// has room for; those not given stay as they were. False, with the reason printed, for anything else.
bool parse_arguments(Arguments arguments, std::span<const CommandOption> options,
                     std::span<std::string_view* const> rest, const Command& command,
                     CommandConsole& console);

}  // namespace exo::guest
