#include "guest/sched/lock_order.h"

#if EXO_LOCK_CHECKS

#include <algorithm>
#include <array>
#include <cstdint>

#include "guest/arch/spin_lock.h"
#include "guest/kernel/panic.h"
#include "guest/sched/thread.h"

namespace exo::guest::lock_order {
namespace {

/// "Whoever has `first` may take `second`."
struct Edge {
    const Mutex* first = nullptr;
    const Mutex* second = nullptr;
};

/// All orders seen so far, as many as there is room for: what does not fit is not checked.
class Orders {
  public:
    void add(const Mutex* first, const Mutex* second) {
        const Locked guard(lock_);
        if (find(first, second)) return;
        if (leads(second, first, 0))
            panic("mutexes {:#x} and {:#x} are taken in both orders: one day two threads wait for each other",
                  reinterpret_cast<std::uintptr_t>(first), reinterpret_cast<std::uintptr_t>(second));
        if (count_ < edges_.size()) edges_[count_++] = {first, second};
    }
    void forget(const Mutex* mutex) {
        const Locked guard(lock_);
        for (std::size_t i = count_; i-- > 0;)
            if (edges_[i].first == mutex || edges_[i].second == mutex) edges_[i] = edges_[--count_];
    }

  private:
    bool find(const Mutex* first, const Mutex* second) const EXO_THREAD_SAFETY(requires_capability(lock_)) {
        return std::any_of(edges_.begin(), edges_.begin() + count_,
                           [&](const Edge& edge) { return edge.first == first && edge.second == second; });
    }
    /// Whether an order from one to the other follows from what has been seen.
    bool leads(const Mutex* from, const Mutex* to, unsigned steps) const
        EXO_THREAD_SAFETY(requires_capability(lock_)) {
        constexpr unsigned most_steps = 8;
        if (from == to) return true;
        if (steps == most_steps) return false;
        for (std::size_t i = 0; i < count_; ++i)
            if (edges_[i].first == from && leads(edges_[i].second, to, steps + 1)) return true;
        return false;
    }

    SpinLock lock_;
    std::array<Edge, 512> edges_ EXO_THREAD_SAFETY(guarded_by(lock_)) = {};
    std::size_t count_ EXO_THREAD_SAFETY(guarded_by(lock_)) = 0;
};

constinit Orders orders;

}  // namespace

void check(const Mutex& mutex) {
    const Thread* const self = Thread::current();
    if (self == nullptr) return;
    for (const Mutex* const held : self->held_mutexes())
        if (held != nullptr && held != &mutex) orders.add(held, &mutex);
}

void acquired(const Mutex& mutex) {
    if (Thread* const self = Thread::current()) self->note_held(mutex);
}

void released(const Mutex& mutex) {
    if (Thread* const self = Thread::current()) self->note_released(mutex);
}

void forget(const Mutex& mutex) {
    orders.forget(&mutex);
}

}  // namespace exo::guest::lock_order

#endif
