#include "tests/bench/kernel/run_kernel.h"

#include <sched.h>

#include <atomic>
#include <cstdlib>

#include "guest/arch/hosted/hosted.h"

namespace exo::bench {
namespace {

std::atomic<guest::Scheduler*> running = nullptr;

void keep_off(int cpu) {
    cpu_set_t others;
    CPU_ZERO(&others);
    for (int other = 0; other < CPU_SETSIZE; ++other)
        if (other != cpu) CPU_SET(static_cast<std::size_t>(other), &others);
    sched_setaffinity(0, sizeof(others), &others);
}

void run_second_cpu(unsigned) {
    keep_off(sched_getcpu());  // a new thread is pinned as the one that made it
    running.load()->run_cpu();
}

}  // namespace

void run_kernel(unsigned cpus, guest::PolicyKind policy,
                const std::function<void(guest::Scheduler& scheduler)>& body) {
    const auto made = guest::Scheduler::create(cpus, policy);
    if (!made) std::abort();
    guest::Scheduler& scheduler = **made;
    running = &scheduler;
    guest::arch::hosted::run_machine(cpus, [&] {
        guest::arch::start_other_cpus(run_second_cpu);
        auto first = scheduler.spawn({.name = "main"}, [&] {
            body(scheduler);
            scheduler.stop();
        });
        if (!first) std::abort();
        first->detach();
        const guest::arch::InterruptGuard guard;
        scheduler.run_cpu();
    });
}

}  // namespace exo::bench
