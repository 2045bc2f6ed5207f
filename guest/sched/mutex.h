#pragma once

#include <atomic>
#include <cstdint>

#include "guest/sched/wait_queue.h"

namespace exo::guest {

/// Mutual exclusion between threads; who has to wait sleeps. Not for interrupt handlers.
///
/// Whoever comes while it is free gets it, which is fast; but who has waited longest is handed it at least
/// every millisecond, so that nobody waits for ever beside a busy thread. Classes and hints of threads play
/// no part in it. (The rule of WebKit's and parking_lot's locks: "eventual fairness".)
class EXO_THREAD_SAFETY(capability("mutex")) Mutex {
  public:
    static constexpr std::uint64_t hand_over_every_ns = 1'000'000;

    constexpr Mutex() = default;
    ~Mutex();
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    /// A thread that has it already ends the kernel: it would wait for itself.
    void lock() EXO_THREAD_SAFETY(acquire_capability()) { static_cast<void>(lock_until(arch::no_deadline)); }
    bool try_lock() EXO_THREAD_SAFETY(try_acquire_capability(true));
    /// False when the clock reached the deadline first.
    bool lock_until(std::uint64_t deadline_ns) EXO_THREAD_SAFETY(try_acquire_capability(true));
    /// By the thread that has it; any other ends the kernel.
    void unlock() EXO_THREAD_SAFETY(release_capability());

    /// Whether the running thread has it.
    bool is_mine() const;

  private:
    static constexpr std::uint32_t free = 0, taken = 1, contended = 2;

    bool take(std::uint32_t as);
    bool lock_slowly(std::uint64_t deadline_ns);
    void unlock_slowly();

    std::atomic<std::uint32_t> state_ = free;
    std::atomic<Thread*> owner_ = nullptr;
    WaitQueue waiters_;
    std::uint64_t hand_over_at_ EXO_THREAD_SAFETY(guarded_by(waiters_)) = 0;
};

}  // namespace exo::guest
