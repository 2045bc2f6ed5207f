#include "tests/bench/hosted/pinned_stage.h"

#include <fmt/format.h>
#include <sched.h>

#include "tests/bench/frame/tsc.h"

namespace exo::bench {
namespace {

void pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

}  // namespace

PinnedStage::PinnedStage() {
    CPU_ZERO(&allowed_);
    sched_getaffinity(0, sizeof(allowed_), &allowed_);
    for (int cpu = 0; cpu < CPU_SETSIZE && second_cpu_ < 0; ++cpu) {
        if (CPU_ISSET(static_cast<std::size_t>(cpu), &allowed_))
            (first_cpu_ < 0 ? first_cpu_ : second_cpu_) = cpu;
    }
    if (cpus() == 2) second_ = std::jthread([this] { serve(); });
    pin_to(first_cpu_);
}

PinnedStage::~PinnedStage() {
    stopping_ = true;
    job_.release();
    sched_setaffinity(0, sizeof(allowed_), &allowed_);
}

std::string PinnedStage::describe_cpus() const {
    return second_cpu_ < 0 ? fmt::format("CPU {}", first_cpu_)
                           : fmt::format("CPUs {} and {}", first_cpu_, second_cpu_);
}

std::uint64_t PinnedStage::run_together(Party first, Party second, void* context) {
    if (second == nullptr) {
        const std::uint64_t begin = read_tsc();
        first(context);
        return read_tsc() - begin;
    }
    party_ = second;
    context_ = context;
    job_.release();
    meet();
    const std::uint64_t begin = read_tsc();
    first(context);
    meet();
    const std::uint64_t ticks = read_tsc() - begin;
    done_.acquire();
    return ticks;
}

void PinnedStage::serve() {
    pin_to(second_cpu_);
    for (;;) {
        job_.acquire();
        if (stopping_) return;
        meet();
        party_(context_);
        meet();
        done_.release();
    }
}

/// Spins until both threads are here, so that neither is still waking up when the other begins.
void PinnedStage::meet() {
    const unsigned mine = arrived_.fetch_add(1);
    const unsigned both = mine - mine % 2 + 2;
    while (static_cast<int>(arrived_.load() - both) < 0) {
    }
}

}  // namespace exo::bench
