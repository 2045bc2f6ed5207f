#include "guest/kernel/command.h"

#include <algorithm>

// The linker names the ends of a section whose name is a C identifier. Weak, for programs without any.
extern "C" [[gnu::weak]] const exo::guest::Command* const __start_exo_commands[];
extern "C" [[gnu::weak]] const exo::guest::Command* const __stop_exo_commands[];

namespace exo::guest {

std::span<const Command* const> registered_commands() {
    return {__start_exo_commands, __stop_exo_commands};
}

bool parse_arguments(Arguments arguments, std::span<const CommandOption> options,
                     std::span<std::string_view* const> rest, const Command& command,
                     CommandConsole& console) {
    std::size_t rest_count = 0;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view word = arguments[i];
        if (!word.starts_with("--")) {
            if (rest_count == rest.size()) {
                bad_usage(console, command, "too many arguments: \"{}\"", word);
                return false;
            }
            *rest[rest_count++] = word;
            continue;
        }
        const auto option = std::ranges::find(options, word, &CommandOption::name);
        if (option == options.end()) {
            bad_usage(console, command, "unknown option {}", word);
            return false;
        }
        if (option->set != nullptr) *option->set = true;
        if (option->value == nullptr) continue;
        if (++i == arguments.size()) {
            bad_usage(console, command, "{} needs a value", word);
            return false;
        }
        *option->value = arguments[i];
    }
    return true;
}

}  // namespace exo::guest
