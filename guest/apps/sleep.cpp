#include <algorithm>
#include <charconv>

#include "guest/drivers/time_source.h"
#include "guest/kernel/command.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"sleep", "<seconds>", "do nothing for a while", run};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

unsigned run(Arguments arguments, CommandConsole& console) {
    std::string_view text;
    std::string_view* const rest[] = {&text};
    if (!parse_arguments(arguments, {}, rest, command, console)) return status::bad_usage;
    unsigned seconds = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, seconds);
    if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end)
        return bad_usage(console, command, "\"{}\" is not a number of seconds", text);
    constexpr std::uint64_t look_for_ctrl_c_ns = 100 * ns_per_ms;
    const std::uint64_t until = arch::now_ns() + seconds * ns_per_s;
    while (arch::now_ns() < until && !console.interrupted())
        this_thread::sleep_until(std::min(until, arch::now_ns() + look_for_ctrl_c_ns));
    return console.interrupted() ? status::failure : status::ok;
}

}  // namespace
}  // namespace exo::guest
