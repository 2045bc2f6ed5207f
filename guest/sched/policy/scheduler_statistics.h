#pragma once

#include <array>
#include <cstdint>

#include "guest/sched/policy/thread_class.h"

namespace exo::guest {

/// What one CPU's policy has counted since the start.
struct SchedulerStatistics {
    std::array<std::uint64_t, thread_class_count> scheduled{};  ///< by the class of the thread picked
    std::uint64_t affinity_hits = 0;      ///< picked where its data are likely still in the cache
    std::uint64_t reclassifications = 0;  ///< a thread went into another class
    std::uint64_t stolen = 0;             ///< taken from here by another CPU
    std::uint64_t preemptions = 0;        ///< by a thread that woke up
    std::uint64_t aged = 0;               ///< picked out of turn because of the starvation bound
    std::uint64_t bursts = 0;             ///< that ended
    std::uint64_t class_foreseen = 0;     ///< bursts as long as their thread's class said
    std::uint64_t accuracy_sum = 0;       ///< of min/max of prediction and burst, in thousandths

    std::uint64_t decisions() const { return scheduled[0] + scheduled[1] + scheduled[2]; }
    /// Mean of min/max of prediction and burst, in thousandths: 1000 is foreseen to the nanosecond.
    std::uint64_t accuracy() const { return bursts == 0 ? 0 : accuracy_sum / bursts; }

    SchedulerStatistics& operator+=(const SchedulerStatistics& other) {
        for (std::size_t i = 0; i < scheduled.size(); ++i) scheduled[i] += other.scheduled[i];
        affinity_hits += other.affinity_hits;
        reclassifications += other.reclassifications;
        stolen += other.stolen;
        preemptions += other.preemptions;
        aged += other.aged;
        bursts += other.bursts;
        class_foreseen += other.class_foreseen;
        accuracy_sum += other.accuracy_sum;
        return *this;
    }
};

}  // namespace exo::guest
