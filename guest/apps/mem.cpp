#include "guest/kernel/command.h"
#include "guest/kernel/json.h"
#include "guest/memory/heap_levels.h"
#include "guest/memory/memory_statistics.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"mem", "[--json]", "show how memory is used", run};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    const CommandOption known[] = {{"--json", &json}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    const MemoryStatistics memory = memory_statistics();
    if (json) {
        JsonLine line(console);
        line.number("total", memory.total)
            .number("free", memory.free)
            .number("heap_size", memory.heap_size)
            .number("heap_used", memory.heap_used)
            .number("heap_allocations", memory.heap_allocations);
        add_heap_levels(line);
        return status::ok;
    }
    const auto row = [&](std::string_view name, std::uint64_t bytes) {
        FixedText<24> size;
        format(size, "{}", Bytes{bytes});
        format(console, "{:<10}{:>10}{:>18,} bytes\n", name, size.view(), bytes);
    };
    row("total", memory.total);
    row("in use", memory.total - memory.free);
    row("free", memory.free);
    row("heap", memory.heap_size);
    row("heap used", memory.heap_used);
    format(console, "{} pieces of the heap are handed out\n", memory.heap_allocations);
    print_heap_levels(console);
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
