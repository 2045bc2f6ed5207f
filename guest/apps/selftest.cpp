#include "guest/kernel/selftest.h"

#include <charconv>

#include "guest/drivers/time_source.h"
#include "guest/kernel/command.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"selftest", "[--write] [--json] [--stress SECONDS] [pattern]",
                          "run the kernel's tests of itself", run,
                          "Runs the tests whose names contain the pattern, or all. With --write, tests may "
                          "also write to disks that\n"
                          "are not read-only; they put back what was there. Tests that try things at "
                          "random go on for half a second,\nor for as long as --stress says.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

unsigned run(Arguments arguments, CommandConsole& console) {
    SelfTestOptions options;
    std::string_view stress;
    const CommandOption known[] = {
        {"--write", &options.may_write}, {"--json", &options.json}, {"--stress", nullptr, &stress}};
    std::string_view* const rest[] = {&options.pattern};
    if (!parse_arguments(arguments, known, rest, command, console)) return status::bad_usage;
    if (!stress.empty()) {
        unsigned seconds = 0;
        const char* const end = stress.data() + stress.size();
        const auto parsed = std::from_chars(stress.data(), end, seconds);
        if (parsed.ec != std::errc() || parsed.ptr != end)
            return bad_usage(console, command, "{} is not a number of seconds", stress);
        options.stress_ns = seconds * ns_per_s;
    }
    const int failed = run_selftests(registered_selftests(), options, console);
    if (failed < 0) format(console, "selftest: no test has \"{}\" in its name\n", options.pattern);
    return failed == 0 ? status::ok : status::failure;
}

}  // namespace
}  // namespace exo::guest
