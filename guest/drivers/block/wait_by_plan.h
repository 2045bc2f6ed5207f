#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "guest/drivers/block/block_device.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {

/// What became of one wait.
struct WaitReport {
    std::size_t ended = 0;    ///< requests
    std::uint64_t polls = 0;  ///< looks at the device
};

/// One turn of a polling loop. Who polls takes the CPU from threads that could use it, so they go first.
inline void give_way(TimeSource& time) {
    if (Scheduler::others_are_ready())
        this_thread::yield();
    else
        time.relax();
}

/// Waits once as a plan says: a first sleep, polling for the budget, then a sleep that an interrupt ends;
/// where several ends are to be told at once, the sleep only. Comes back as soon as anything has ended, when
/// the deadline has passed, and now and then with nothing. Without the queue's lock; one thread at a time.
///
/// @param out   requests in the device
/// @param reap  `reap(slept)`, called with the queue's lock held, polls the queue: the number that ended
template <typename Reap>
WaitReport wait_by_plan(BlockQueue& queue, const IoPlan& plan, std::uint64_t out, std::uint64_t deadline_ns,
                        TimeSource& time, Reap reap) {
    WaitReport report;
    const bool may_sleep = plan.poll_budget_ns != no_poll_limit && queue.has_interrupt();
    const auto ends = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(out, 1, std::max(plan.batch, 1u)));
    const auto look = [&](bool slept) {
        ++report.polls;
        report.ended += reap(slept);
    };
    // True when it slept; otherwise something had ended meanwhile, or there would have been no interrupt.
    const auto sleep = [&](std::uint64_t until_ns) {
        bool asleep = false;
        const auto arm = [&] {
            const Locked guard(queue.lock());
            const std::size_t missing = ends > report.ended ? ends - report.ended : 1;
            return asleep = queue.prepare_sleep(static_cast<std::uint32_t>(missing));
        };
        const auto collect = [&](bool slept) {
            const Locked guard(queue.lock());
            queue.finish_sleep();
            look(slept);
            return report.ended;
        };
        queue.watch().wait(until_ns, arm, collect);
        return asleep;
    };
    if (may_sleep && plan.first_sleep_ns > 0) {
        sleep(std::min(deadline_ns, time.now_ns() + plan.first_sleep_ns));
        if (report.ended > 0) return report;
    }
    if (!may_sleep || ends == 1) {
        const std::uint64_t start = time.now_ns();
        const std::uint64_t poll_end =
            may_sleep ? std::min(deadline_ns, start + plan.poll_budget_ns) : deadline_ns;
        for (;;) {
            {
                const Locked guard(queue.lock());
                look(false);
            }
            if (report.ended > 0) return report;
            if (time.now_ns() >= poll_end) break;
            give_way(time);
        }
    }
    if (!may_sleep) return report;
    // What has ended already counts; the wait is over when as many have as are told at once, or after a
    // sleep.
    for (std::size_t known = report.ended; !sleep(deadline_ns) && report.ended < ends; known = report.ended) {
        if (report.ended > known) continue;
        give_way(time);
        break;
    }
    return report;
}

}  // namespace exo::guest
