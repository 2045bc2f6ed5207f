#include <algorithm>
#include <array>

#include "guest/kernel/command.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{"help", "[command]", "list the commands, or tell more about one", run};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

std::size_t synopsis_width(const Command* about) {
    return about->name.size() + 1 + about->usage.size();
}

void list(CommandConsole& console) {
    std::array<const Command*, 64> storage;
    const auto commands = registered_commands();
    const auto sorted = std::span(storage).first(std::min(commands.size(), storage.size()));
    std::ranges::copy(commands.first(sorted.size()), sorted.begin());
    std::ranges::sort(sorted, {}, [](const Command* about) { return about->name; });
    const std::size_t width = synopsis_width(*std::ranges::max_element(sorted, {}, synopsis_width)) + 2;
    for (const Command* about : sorted) {
        format(console, "{} {}", about->name, about->usage);
        for (std::size_t i = synopsis_width(about); i < width; ++i) console.write(" ");
        format(console, "{}\n", about->summary);
    }
}

unsigned run(Arguments arguments, CommandConsole& console) {
    std::string_view name;
    std::string_view* const rest[] = {&name};
    if (!parse_arguments(arguments, {}, rest, command, console)) return status::bad_usage;
    if (name.empty()) {
        list(console);
        return status::ok;
    }
    const auto commands = registered_commands();
    const auto found = std::ranges::find(commands, name, [](const Command* c) { return c->name; });
    if (found == commands.end()) {
        format(console, "help: there is no command \"{}\"; `help` lists them all\n", name);
        return status::failure;
    }
    const Command& about = **found;
    format(console, "usage: {} {}\n{}\n{}", about.name, about.usage, about.summary, about.details);
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
