#pragma once

#include "guest/arch/arch.h"
#include "guest/arch/thread_safety.h"

// The build says whether locks are checked (CMake: in Debug builds).
#ifndef EXO_LOCK_CHECKS
#define EXO_LOCK_CHECKS 0
#endif

namespace exo::guest {

/// Ends the kernel: somebody has spun for a lock for a minute.
[[noreturn]] void report_stuck_lock(const void* lock);

/// Mutual exclusion between processors, for a few instructions with interrupts off. Its owner is whoever was
/// given it, not a thread: the scheduler takes one before a switch and lets the next thread give it back.
class EXO_THREAD_SAFETY(capability("spin lock")) RawSpinLock {
  public:
    constexpr RawSpinLock() = default;
    RawSpinLock(const RawSpinLock&) = delete;
    RawSpinLock& operator=(const RawSpinLock&) = delete;

    void lock() EXO_THREAD_SAFETY(acquire_capability()) {
        while (__atomic_exchange_n(&taken_, true, __ATOMIC_ACQUIRE)) wait();
    }
    bool try_lock() EXO_THREAD_SAFETY(try_acquire_capability(true)) {
        return !__atomic_exchange_n(&taken_, true, __ATOMIC_ACQUIRE);
    }
    void unlock() EXO_THREAD_SAFETY(release_capability()) {
        __atomic_store_n(&taken_, false, __ATOMIC_RELEASE);
    }

  private:
    /// Until it looks free.
    void wait() const {
        const std::uint64_t start = arch::timestamp();
        while (__atomic_load_n(&taken_, __ATOMIC_RELAXED)) {
            arch::pause();
            if (EXO_LOCK_CHECKS != 0 && arch::timestamp() - start > 60 * arch::timestamp_frequency())
                report_stuck_lock(this);
        }
    }

    bool taken_ = false;
};

/// The same for everybody else: turns interrupts off while it is held, so that the holder is never
/// interrupted by who waits for it.
class EXO_THREAD_SAFETY(capability("spin lock")) SpinLock {
  public:
    constexpr SpinLock() = default;

    void lock() EXO_THREAD_SAFETY(acquire_capability()) EXO_THREAD_SAFETY(no_thread_safety_analysis) {
        const bool enabled = arch::interrupts_enabled();
        arch::disable_interrupts();
        raw_.lock();
        interrupts_were_enabled_ = enabled;
    }
    void unlock() EXO_THREAD_SAFETY(release_capability()) EXO_THREAD_SAFETY(no_thread_safety_analysis) {
        const bool enable = interrupts_were_enabled_;
        raw_.unlock();
        if (enable) arch::enable_interrupts();
    }

  private:
    RawSpinLock raw_;
    bool interrupts_were_enabled_ = false;
};

/// Holds a lock while it lives.
template <class Lock>
class EXO_THREAD_SAFETY(scoped_lockable) Locked {
  public:
    explicit Locked(Lock& lock) EXO_THREAD_SAFETY(acquire_capability(lock)) : lock_(lock) { lock_.lock(); }
    ~Locked() EXO_THREAD_SAFETY(release_capability()) { lock_.unlock(); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

  private:
    Lock& lock_;
};

}  // namespace exo::guest
