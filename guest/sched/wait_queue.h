#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/arch/spin_lock.h"

namespace exo::guest {

class Thread;

/// Threads that wait for something, first come first served, and the lock of what they wait for: whatever
/// says whether there is reason to wait is guarded by the queue itself.
///
///     Locked guard(queue);
///     while (!ready)
///         if (!queue.wait(deadline_ns)) return false;
///
/// Interrupt handlers may lock it and wake, and so does code that runs before there is a scheduler; there a
/// waiter sleeps together with its CPU. A thread that gave up at its deadline has left the queue: a wake-up
/// goes to one that still waits, or is not given.
class EXO_THREAD_SAFETY(capability("wait queue")) WaitQueue {
  public:
    constexpr WaitQueue() = default;
    WaitQueue(const WaitQueue&) = delete;
    WaitQueue& operator=(const WaitQueue&) = delete;

    void lock() EXO_THREAD_SAFETY(acquire_capability());
    /// Here a thread that was woken may take over from the one that woke it.
    void unlock() EXO_THREAD_SAFETY(release_capability());

    /// Lets go of the lock, sleeps, and takes it again. False when the clock reached the deadline before
    /// anybody woke this thread.
    bool wait(std::uint64_t deadline_ns = arch::no_deadline) EXO_THREAD_SAFETY(requires_capability(this));

    /// Whether there was somebody to wake.
    bool wake_one() EXO_THREAD_SAFETY(requires_capability(this));
    void wake_all() EXO_THREAD_SAFETY(requires_capability(this));
    /// Who has waited longest; nullptr when nobody waits.
    Thread* first() const EXO_THREAD_SAFETY(requires_capability(this)) {
        return first_ != nullptr ? first_->thread : nullptr;
    }

  private:
    struct Waiter {
        Thread* thread;  ///< nullptr: a CPU without a scheduler
        Waiter* next = nullptr;
        Waiter* previous = nullptr;
        bool woken = false;
    };

    void append(Waiter& waiter) EXO_THREAD_SAFETY(requires_capability(this));
    void remove(Waiter& waiter) EXO_THREAD_SAFETY(requires_capability(this));

    RawSpinLock spin_;
    bool interrupts_were_enabled_ = false;
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
};

}  // namespace exo::guest
