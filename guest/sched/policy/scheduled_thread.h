#pragma once

#include <cstdint>

#include "guest/sched/policy/prediction.h"
#include "guest/sched/policy/thread_class.h"

namespace exo::guest {

class ScheduledThread;

/// A place in a doubly linked list.
struct ThreadLink {
    ScheduledThread* next = nullptr;
    ScheduledThread* previous = nullptr;
};

/// What a policy knows of one thread: a base or a member of the kernel's thread. It is in at most one run
/// queue. Only the policy writes it, under the lock of the CPU whose queue the thread is in or that runs it;
/// who wakes the thread owns it until it is in a queue again.
class ScheduledThread {
  public:
    explicit constexpr ScheduledThread(PriorityHint priority_hint = PriorityHint::normal)
        : hint(priority_hint), thread_class(class_of(weigh(first_prediction, priority_hint))) {}
    ScheduledThread(const ScheduledThread&) = delete;
    ScheduledThread& operator=(const ScheduledThread&) = delete;

    /// What is expected of a thread that has never run.
    static constexpr Nanoseconds first_prediction = milliseconds(5);
    static constexpr std::uint16_t no_cpu = 0xffff;

    Prediction prediction{first_prediction};
    Nanoseconds burst = 0;            ///< CPU time since it woke, pre-emptions left out
    Nanoseconds woken_at = 0;         ///< when the burst began
    Nanoseconds ready_since = 0;      ///< when it began to wait in the queue
    Nanoseconds charged_until = 0;    ///< of the running thread: CPU time up to here is in `burst`
    Nanoseconds running_since = 0;    ///< of the running thread
    Nanoseconds slice_end = 0;        ///< of the running thread
    Nanoseconds protected_until = 0;  ///< of the running thread, from wake-ups of `protected_from` and colder
    Nanoseconds last_ran = 0;         ///< when it last stopped running
    std::uint64_t cpu_time = 0;       ///< since it began
    std::uint16_t last_cpu = no_cpu;
    PriorityHint hint;
    ThreadClass thread_class;
    ThreadClass protected_from = ThreadClass::hot;
    bool queued = false;

    // Where it is in a run queue.
    Nanoseconds turn = 0;  ///< within its class the smaller goes first
    ThreadClass queue = ThreadClass::hot;
    std::uint8_t bucket = 0;
    ThreadLink in_bucket;
    ThreadLink by_age;

    std::uint32_t id = 0;  ///< the kernel's, for the trace
};

/// Why a thread comes into a run queue.
enum class Arrival : std::uint8_t {
    woken,      ///< a burst begins
    preempted,  ///< the burst goes on
    yielded,    ///< of its own will: all that are ready now go first
    moved,      ///< from another CPU's queue; it has waited there
};

}  // namespace exo::guest
