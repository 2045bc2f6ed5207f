#include "guest/kernel/shell.h"

#include <algorithm>
#include <memory>
#include <new>

#include "guest/arch/arch.h"
#include "guest/kernel/background_job.h"
#include "guest/kernel/command_words.h"
#include "shared/platform/exit_status.h"

namespace exo::guest {
namespace {

unsigned as_guest_status(unsigned status) {
    return std::min<unsigned>(status, platform::guest_status_max);
}

}  // namespace

unsigned Shell::run(std::string_view line, bool interactive) {
    CommandConsole console(terminal_, interactive);
    const unsigned status = run_line(line, console);
    return as_guest_status(console.leave_status().value_or(status));
}

unsigned Shell::interact() {
    CommandConsole console(terminal_, true);
    // It holds many lines, more than a kernel stack should.
    const std::unique_ptr<History> history(new (std::nothrow) History);
    if (history == nullptr) {
        terminal_.write("there is no memory for a shell\n");
        return status::failure;
    }
    LineEditor editor(terminal_, *history, *this, prompt);
    editor.begin();
    while (!console.leave_status()) {
        const auto c = console.read();
        if (!c) {
            console.wait_for_input(arch::no_deadline);
            continue;
        }
        switch (editor.feed(*c)) {
            case LineEditor::Event::none:
                continue;
            case LineEditor::Event::leave:
                return status::ok;
            case LineEditor::Event::line:
                run_line(editor.line(), console);
                break;
            case LineEditor::Event::cancel:
                break;
        }
        if (!console.leave_status()) editor.begin();
    }
    return as_guest_status(*console.leave_status());
}

unsigned Shell::run_line(std::string_view line, CommandConsole& console) {
    unsigned status = status::ok;
    CommandWords words;
    while (!line.empty() && !console.leave_status()) {
        const std::string_view from_here = line;
        if (const auto parsed = words.parse(line); !parsed) {
            format(console, "{}: {}\n", parsed.error().what, parsed.error().why);
            return status::bad_usage;
        }
        const std::string_view text = from_here.substr(0, from_here.size() - line.size());
        if (!words.words().empty()) status = run_command(words.words(), text, console);
        if (console.interrupted()) break;
    }
    return status;
}

unsigned Shell::run_command(std::span<const std::string_view> words, std::string_view text,
                            CommandConsole& console) {
    const auto found = std::ranges::find(commands_, words.front(), [](const Command* c) { return c->name; });
    if (found == commands_.end()) {
        format(console, "{}: no such command; `help` lists them all\n", words.front());
        return status::unknown_command;
    }
    if (words.back() == "&") return run_in_background(**found, text, console);
    console.begin_command();
    return (*found)->run(words.subspan(1), console);
}

unsigned Shell::run_in_background(const Command& command, std::string_view text, CommandConsole& console) {
    const auto job = start_background_job(command, text, terminal_);
    if (!job) {
        format(console, "{}: {}: {}\n", command.name, job.error().what, job.error().why);
        return status::failure;
    }
    format(console, "[{}] {}\n", *job, command.name);
    return status::ok;
}

std::size_t Shell::complete(std::string_view line, std::span<std::string_view> found) const {
    const std::size_t start = line.rfind(' ') + 1;
    const std::string_view word = line.substr(start);
    const std::string_view before = line.substr(0, start);
    const bool names_expected = before.find_first_not_of(' ') == std::string_view::npos ||
                                before.substr(before.find_first_not_of(' ')).starts_with("help ");
    if (!names_expected) return 0;
    std::size_t count = 0;
    for (const Command* command : commands_)
        if (command->name.starts_with(word) && count < found.size()) found[count++] = command->name;
    std::ranges::sort(found.first(count));
    return count;
}

unsigned run_session(Console& terminal, std::string_view command) {
    Shell shell(terminal);
    if (!command.empty()) return shell.run(command);
    terminal.write("Type `help` for the commands, `exit` or Ctrl-D to end.\n");
    return shell.interact();
}

}  // namespace exo::guest
