#include "guest/kernel/command.h"
#include "guest/kernel/machine_control.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"reboot", "", "start the machine anew", run};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

unsigned run(Arguments arguments, CommandConsole& console) {
    if (!parse_arguments(arguments, {}, {}, command, console)) return status::bad_usage;
    console.write("rebooting\n");
    reboot_machine();
}

}  // namespace
}  // namespace exo::guest
