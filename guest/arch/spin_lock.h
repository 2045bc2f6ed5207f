#pragma once

#include <source_location>

#include "guest/arch/arch.h"
#include "guest/arch/lock_record.h"
#include "shared/platform/thread_safety.h"

namespace exo::guest {

/// Mutual exclusion between processors, for a few instructions with interrupts off. Its owner is whoever was
/// given it, not a thread: the scheduler takes one before a switch and lets the next thread give it back.
class EXO_THREAD_SAFETY(capability("spin lock")) RawSpinLock {
  public:
    constexpr RawSpinLock(std::source_location made = std::source_location::current()) : record_(made) {}
    RawSpinLock(const RawSpinLock&) = delete;
    RawSpinLock& operator=(const RawSpinLock&) = delete;

    void lock() EXO_THREAD_SAFETY(acquire_capability()) {
        record_.check_order();
        while (__atomic_exchange_n(&taken_, true, __ATOMIC_ACQUIRE)) wait();
        record_.taken();
    }
    bool try_lock() EXO_THREAD_SAFETY(try_acquire_capability(true)) {
        if (__atomic_exchange_n(&taken_, true, __ATOMIC_ACQUIRE)) return false;
        record_.taken();
        return true;
    }
    void unlock() EXO_THREAD_SAFETY(release_capability()) {
        record_.released();
        __atomic_store_n(&taken_, false, __ATOMIC_RELEASE);
    }

  private:
    /// Until it looks free.
    void wait() const {
        const std::uint64_t start = arch::timestamp();
        for (std::uint64_t turns = 0; __atomic_load_n(&taken_, __ATOMIC_RELAXED); ++turns) {
            arch::pause();
            record_.spinning(start, turns);
        }
    }

    bool taken_ = false;
    [[no_unique_address]] LockRecord record_;
};

/// The same for everybody else: turns interrupts off while it is held, so that the holder is never
/// interrupted by who waits for it.
class EXO_THREAD_SAFETY(capability("spin lock")) SpinLock {
  public:
    constexpr SpinLock(std::source_location made = std::source_location::current()) : raw_(made) {}

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
