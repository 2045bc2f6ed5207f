#include "guest/kernel/background_job.h"

#include <memory>
#include <new>

#include "guest/kernel/command_words.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

/// The terminal without its keyboard, which is the shell's.
class BackgroundConsole final : public Console {
  public:
    explicit BackgroundConsole(Console& terminal) : terminal_(terminal) {}

    void write(std::string_view text) override { terminal_.write(text); }
    void flush() override { terminal_.flush(); }
    std::optional<char> read() override { return std::nullopt; }
    bool wait_for_input(std::uint64_t deadline_ns) override {
        this_thread::sleep_until(deadline_ns);
        return false;
    }

  private:
    Console& terminal_;
};

class Job {
  public:
    Job(const Command& command, Console& terminal) : command_(command), terminal_(terminal) {}

    Result<void> parse(std::string_view line) { return words_.parse(line); }

    void run() {
        CommandConsole console(terminal_, false);
        const std::span words = words_.words();
        const unsigned status = command_.run(words.subspan(1, words.size() - 2), console);
        format(terminal_, "[{}] {}: ended with status {}\n", Thread::current()->id(), command_.name, status);
    }

  private:
    const Command& command_;
    BackgroundConsole terminal_;
    CommandWords words_;
};

}  // namespace

Result<std::uint32_t> start_background_job(const Command& command, std::string_view line, Console& terminal) {
    Thread* const self = Thread::current();
    if (self == nullptr) return fail("background command", "there are no threads here");
    std::unique_ptr<Job> job(new (std::nothrow) Job(command, terminal));
    if (job == nullptr) return out_of_memory("background command");
    if (const auto parsed = job->parse(line); !parsed) return std::unexpected(parsed.error());
    auto thread = self->scheduler().spawn({.name = command.name}, [job = std::move(job)] { job->run(); });
    if (!thread) return std::unexpected(thread.error());
    const std::uint32_t id = thread->thread().id();
    thread->detach();
    return id;
}

}  // namespace exo::guest
