#pragma once

#include <new>
#include <utility>

#include "guest/sched/scheduler.h"

namespace exo::guest {

/// An object of which every thread has one of its own, made when the thread first asks for it and destroyed
/// when the thread ends. Lives longer than any thread that has used it.
template <class T>
class ThreadLocal {
  public:
    /// Fails when all slots are taken (Thread::local_slots).
    static Result<ThreadLocal> create(Scheduler& scheduler) {
        const auto slot = scheduler.take_local_slot([](void* object) { delete static_cast<T*>(object); });
        if (!slot) return std::unexpected(slot.error());
        return ThreadLocal(scheduler, *slot);
    }
    ThreadLocal(ThreadLocal&& other) noexcept
        : scheduler_(std::exchange(other.scheduler_, nullptr)), slot_(other.slot_) {}
    ThreadLocal& operator=(ThreadLocal&&) = delete;
    ~ThreadLocal() {
        if (scheduler_ != nullptr) scheduler_->release_local_slot(slot_);
    }

    /// The running thread's; nullptr when there is no memory for it.
    T* get() const {
        void*& slot = Thread::current()->locals_[slot_];
        if (slot == nullptr) slot = new (std::nothrow) T();
        return static_cast<T*>(slot);
    }

  private:
    ThreadLocal(Scheduler& scheduler, unsigned slot) : scheduler_(&scheduler), slot_(slot) {}

    Scheduler* scheduler_;
    unsigned slot_;
};

}  // namespace exo::guest
