#include "tests/unit/sched/run_threads.h"

#include <atomic>
#include <cstdlib>

#include "guest/arch/hosted/hosted.h"

namespace exo::guest::test {
namespace {
std::atomic<Scheduler*> running = nullptr;
}

void run_threads(unsigned cpus, const std::function<void(Scheduler&)>& body, PolicyKind policy) {
    static const SimdFormat simd = SimdFormat::of_this_cpu();
    auto made = Scheduler::create(cpus, policy, &simd);
    if (!made) std::abort();
    Scheduler& scheduler = **made;
    running = &scheduler;
    arch::hosted::run_machine(cpus, [&] {
        arch::start_other_cpus([](unsigned) { running.load()->run_cpu(); });
        must_spawn(scheduler,
                   [&] {
                       body(scheduler);
                       scheduler.stop();
                   },
                   {.name = "main"})
            .detach();
        const arch::InterruptGuard guard;
        scheduler.run_cpu();
    });
}

}  // namespace exo::guest::test
