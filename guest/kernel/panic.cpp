#include "guest/kernel/panic.h"

#include <atomic>

#include "guest/arch/arch.h"
#include "guest/kernel/backtrace.h"
#include "guest/kernel/console.h"
#include "guest/kernel/machine_control.h"
#include "guest/kernel/symbols.h"
#include "guest/sched/thread.h"
#include "shared/platform/exit_status.h"
#include "shared/platform/platform.h"

namespace exo::guest {
namespace {

std::atomic<unsigned> depth = 0;
constexpr unsigned nobody = ~0u;
/// The processor whose panic this is: the first.
std::atomic<unsigned> panicking = nobody;

/// One panic is told; whoever comes second on another processor is stopped like all others.
void become_the_one_that_panics() {
    unsigned first = nobody;
    if (panicking.compare_exchange_strong(first, arch::current_cpu())) return arch::stop_other_cpus();
    while (first != arch::current_cpu()) arch::pause();
}

void print_other_processors() {
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        if (cpu == arch::current_cpu()) continue;
        if (const std::uintptr_t place = arch::stopped_at(cpu))
            print("cpu {} was in\n  {:#018x}  {}\n", cpu, place, Location{.address = place});
        else
            print("cpu {} did not stop\n", cpu);
    }
}

/// Prints one line for each place, and one for all repetitions of the same: a recursion takes two lines.
class BacktracePrinter {
  public:
    void add(const Location& place) {
        if (place.address == last_) {
            ++repeats_;
            return;
        }
        finish();
        last_ = place.address;
        if (++lines_ <= max_lines) print("  {:#018x}  {}\n", place.address, place);
    }
    void finish() {
        if (repeats_ != 0 && lines_ <= max_lines) print("  ... {} more from the same place\n", repeats_);
        repeats_ = 0;
    }

  private:
    static constexpr unsigned max_lines = 40;
    std::uintptr_t last_ = 0;
    unsigned repeats_ = 0;
    unsigned lines_ = 0;
};

}  // namespace

PanicReport::PanicReport() : sink_(&console()) {
    arch::disable_interrupts();
    become_the_one_that_panics();
    const unsigned level = depth.fetch_add(1);
    if (level >= 2) machine_control().end(platform::status_guest_panic);
    format(*sink_, "{} on cpu {}: ", level == 0 ? "\n\nKERNEL PANIC" : "\nPANIC WHILE PANICKING",
           arch::current_cpu());
}

void PanicReport::finish(const Location& place, std::uintptr_t frame) {
    sink_->write("\n");
    if (depth.load() == 1) {
        if (const Thread* const thread = Thread::current())
            print("backtrace of thread {}\n", thread->name());
        else
            print("backtrace\n");
        BacktracePrinter printer;
        printer.add(place);
        walk_frames(frame,
                    [&](std::uintptr_t caller) { printer.add({.address = caller, .is_return = true}); });
        printer.finish();
        print_other_processors();
    }
    print("{}{}\n", platform::panic_trailer, platform::status_guest_panic);
    machine_control().end(platform::status_guest_panic);
}

}  // namespace exo::guest
