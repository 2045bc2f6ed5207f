#include <charconv>

#include "guest/kernel/command.h"
#include "shared/platform/exit_status.h"

namespace exo::guest {
namespace {

unsigned run_poweroff(Arguments arguments, CommandConsole& console);
unsigned run_exit(Arguments arguments, CommandConsole& console);

constexpr std::string_view details =
    "The status, 0 to 124, becomes the exit status of the command that launched the machine.\n";
constexpr Command poweroff{"poweroff", "[status]", "end the machine", run_poweroff, details};
constexpr Command leave{"exit", "[status]", "the same, by the name that shells have for it", run_exit,
                        details};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* poweroff_registration =
    &poweroff;
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* leave_registration = &leave;

unsigned run(const Command& command, Arguments arguments, CommandConsole& console) {
    std::string_view text = "0";
    std::string_view* const rest[] = {&text};
    if (!parse_arguments(arguments, {}, rest, command, console)) return status::bad_usage;
    unsigned number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end || number > platform::guest_status_max)
        return bad_usage(console, command, "the status is a number from 0 to {}, not \"{}\"",
                         platform::guest_status_max, text);
    console.leave(number);
    return number;
}

unsigned run_poweroff(Arguments arguments, CommandConsole& console) {
    return run(poweroff, arguments, console);
}
unsigned run_exit(Arguments arguments, CommandConsole& console) {
    return run(leave, arguments, console);
}

}  // namespace
}  // namespace exo::guest
