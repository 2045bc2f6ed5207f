#include <memory>
#include <new>
#include <span>

#include "guest/kernel/command.h"
#include "guest/kernel/json.h"
#include "guest/sched/thread_report.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"ps", "[--json]", "list the threads", run,
                          "EXPECTED is the CPU burst that is predicted for the thread, STACK the most it has "
                          "ever used.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

void print_json(const ThreadInfo& thread, CommandConsole& console) {
    JsonLine(console)
        .number("id", thread.id)
        .text("name", thread.name.data())
        .text("state", name_of(thread.state))
        .number("cpu", thread.cpu)
        .text("class", name_of(thread.thread_class))
        .number("prediction_ns", thread.prediction)
        .number("run_ns", thread.run_time)
        .number("switches", thread.switches)
        .number("stack_bytes", thread.stack_size)
        .number("stack_used", thread.stack_used);
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    const CommandOption known[] = {{"--json", &json}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    if (Thread::current() == nullptr) {
        console.write("ps: there are no threads\n");
        return status::failure;
    }
    constexpr std::size_t most = 512;
    const std::unique_ptr<ThreadInfo[]> infos(new (std::nothrow) ThreadInfo[most]);
    if (infos == nullptr) {
        console.write("ps: there is no memory for the list\n");
        return status::failure;
    }
    const std::size_t count = Thread::current()->scheduler().list({infos.get(), most});
    if (!json) {
        print_thread_header(console, false);
        console.write("\n");
    }
    for (const ThreadInfo& thread : std::span(infos.get(), count)) {
        if (json) {
            print_json(thread, console);
            continue;
        }
        print_thread(console, thread);
        console.write("\n");
    }
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
