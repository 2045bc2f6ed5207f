#include "guest/kernel/command.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console) {
    for (std::size_t i = 0; i < arguments.size(); ++i)
        format(console, "{}{}", i == 0 ? "" : " ", arguments[i]);
    console.write("\n");
    return status::ok;
}

constexpr Command command{"echo", "[word...]", "print the words", run};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

}  // namespace
}  // namespace exo::guest
