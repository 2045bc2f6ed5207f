#pragma once

#include "guest/sched/policy/scheduled_thread.h"

namespace exo::guest {

/// First in, first out, with removal from the middle. `link` says which of a thread's links it uses.
template <ThreadLink ScheduledThread::* link>
class ThreadList {
  public:
    bool empty() const { return first_ == nullptr; }
    ScheduledThread* first() const { return first_; }
    ScheduledThread* last() const { return last_; }

    void append(ScheduledThread& thread) {
        thread.*link = {.next = nullptr, .previous = last_};
        (last_ == nullptr ? first_ : (last_->*link).next) = &thread;
        last_ = &thread;
    }

    void prepend(ScheduledThread& thread) {
        thread.*link = {.next = first_, .previous = nullptr};
        (first_ == nullptr ? last_ : (first_->*link).previous) = &thread;
        first_ = &thread;
    }

    void remove(ScheduledThread& thread) {
        const ThreadLink at = thread.*link;
        (at.previous == nullptr ? first_ : (at.previous->*link).next) = at.next;
        (at.next == nullptr ? last_ : (at.next->*link).previous) = at.previous;
    }

  private:
    ScheduledThread* first_ = nullptr;
    ScheduledThread* last_ = nullptr;
};

}  // namespace exo::guest
