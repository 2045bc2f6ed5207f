#include "guest/sched/mutex.h"

#include "guest/kernel/panic.h"
#include "guest/sched/lock_order.h"
#include "guest/sched/scheduler.h"

namespace exo::guest {

Mutex::~Mutex() {
    lock_order::forget(*this);
}

bool Mutex::is_mine() const {
    return state_.load(std::memory_order_relaxed) != free &&
           owner_.load(std::memory_order_relaxed) == Thread::current();
}

bool Mutex::take(std::uint32_t as) {
    std::uint32_t expected = free;
    return state_.compare_exchange_strong(expected, as, std::memory_order_acquire, std::memory_order_relaxed);
}

bool Mutex::try_lock() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    if (!take(taken)) return false;
    owner_.store(Thread::current(), std::memory_order_relaxed);
    lock_order::acquired(*this);
    return true;
}

bool Mutex::lock_until(std::uint64_t deadline_ns) EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    if (is_mine())
        panic("mutex {:#x}: the thread that has it locks it again", reinterpret_cast<std::uintptr_t>(this));
    lock_order::check(*this);
    if (take(taken))
        owner_.store(Thread::current(), std::memory_order_relaxed);
    else if (!lock_slowly(deadline_ns))
        return false;
    lock_order::acquired(*this);
    return true;
}

bool Mutex::lock_slowly(std::uint64_t deadline_ns) {
    Thread* const self = Thread::current();
    const Locked guard(waiters_);
    while (true) {
        // Others may wait, so the one who gives it back has to look.
        if (state_.exchange(contended, std::memory_order_acquire) == free) {
            owner_.store(self, std::memory_order_relaxed);
            return true;
        }
        if (!waiters_.wait(deadline_ns)) return false;
        if (owner_.load(std::memory_order_relaxed) == self) return true;  // handed over
    }
}

void Mutex::unlock() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    if (!is_mine())
        panic("mutex {:#x}: unlocked by a thread that does not have it",
              reinterpret_cast<std::uintptr_t>(this));
    lock_order::released(*this);
    owner_.store(nullptr, std::memory_order_relaxed);
    std::uint32_t expected = taken;
    if (!state_.compare_exchange_strong(expected, free, std::memory_order_release, std::memory_order_relaxed))
        unlock_slowly();
}

void Mutex::unlock_slowly() {
    const Locked guard(waiters_);
    Thread* const first = waiters_.first();
    const std::uint64_t now = first != nullptr ? arch::now_ns() : 0;
    if (first != nullptr && now >= hand_over_at_) {
        hand_over_at_ = now + hand_over_every_ns;
        owner_.store(first, std::memory_order_relaxed);
    } else {
        state_.store(free, std::memory_order_release);
    }
    waiters_.wake_one();
}

}  // namespace exo::guest
