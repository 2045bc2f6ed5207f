#pragma once

#include <cstdint>

#include "guest/arch/spin_lock.h"
#include "guest/ipc/sleeper.h"
#include "shared/fusion/wake.h"

namespace exo::guest {

/// The threads that wait on one side of a ring: for messages, or for room. It joins the ring's wake-up
/// contract (shared/fusion/wake.h) to the scheduler:
///
///     who waits (enlist)                           who sends or receives
///     takes the lock                               publishes or releases slots
///     announces the group in the wake word         must_notify(): tells its progress, reads the wake word
///     looks at the ring once more                  only if a group is announced: wake_one()
///     puts itself into the list, unlocks, sleeps     takes the lock, takes the first from the list, wakes it
///
/// The word goes back to "polling" with the last of the list, under the lock. So one wake-up costs one lock,
/// and a channel whose other side is awake never comes here.
template <class Platform>
class RingWaiters {
    using Atomics = typename Platform::Atomics;

  public:
    RingWaiters(fusion::WakeLine& wake, const std::uint32_t& progress) : waiter_(wake, progress) {}

    /// Puts the entry into the list, unless `ready()` says that there is no reason to wait: then false.
    template <class Ready>
    bool enlist(SleeperEntry<Platform>& entry, Ready ready) {
        const Locked guard(lock_);
        if (!waiter_.prepare_group(sleepers_.empty(), ready)) return false;
        sleepers_.append(entry);
        return true;
    }

    /// After the sleep, however it ended.
    void delist(SleeperEntry<Platform>& entry) {
        const Locked guard(lock_);
        if (sleepers_.empty()) return;
        sleepers_.remove(entry);
        if (sleepers_.empty()) waiter_.wake();
    }

    /// Whether anybody sleeps, or is about to.
    bool any() const { return waiter_.is_group(); }

    [[gnu::noinline]] void wake_one() {
        {
            const Locked guard(lock_);
            if (sleepers_.empty()) return;
            sleepers_.wake_one();
            if (sleepers_.empty()) waiter_.wake();
        }
        Platform::after_wake();
    }

    void wake_all() {
        {
            const Locked guard(lock_);
            if (sleepers_.empty()) return;
            while (sleepers_.wake_one()) {
            }
            waiter_.wake();
        }
        Platform::after_wake();
    }

  private:
    typename Platform::Lock lock_;
    fusion::Waiter<Atomics> waiter_;
    SleeperList<Platform> sleepers_;
};

}  // namespace exo::guest
