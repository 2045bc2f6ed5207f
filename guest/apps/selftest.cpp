#include "guest/kernel/selftest.h"

#include "guest/kernel/command.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"selftest", "[--write] [--json] [pattern]", "run the kernel's tests of itself", run,
                          "Runs the tests whose names contain the pattern, or all. With --write, tests may "
                          "also write to disks that\n"
                          "are not read-only; they put back what was there.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

unsigned run(Arguments arguments, CommandConsole& console) {
    SelfTestOptions options;
    const CommandOption known[] = {{"--write", &options.may_write}, {"--json", &options.json}};
    std::string_view* const rest[] = {&options.pattern};
    if (!parse_arguments(arguments, known, rest, command, console)) return status::bad_usage;
    const int failed = run_selftests(registered_selftests(), options, console);
    if (failed < 0) format(console, "selftest: no test has \"{}\" in its name\n", options.pattern);
    return failed == 0 ? status::ok : status::failure;
}

}  // namespace
}  // namespace exo::guest
