#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "guest/sched/thread.h"

namespace exo::guest {

/// The right to join a thread. Its end joins, as std::jthread's does, so that a thread never outlives what it
/// was given references to, unless it was detached.
class ThreadHandle {
  public:
    ThreadHandle() = default;
    explicit ThreadHandle(Thread& thread) : thread_(&thread) {}
    ThreadHandle(ThreadHandle&& other) noexcept : thread_(std::exchange(other.thread_, nullptr)) {}
    ThreadHandle& operator=(ThreadHandle&& other) noexcept {
        std::swap(thread_, other.thread_);
        return *this;
    }
    ~ThreadHandle() {
        if (thread_ != nullptr) join();
    }

    /// False once it has been joined or detached.
    bool joinable() const { return thread_ != nullptr; }
    Thread& thread() const { return *thread_; }

    /// Waits until the thread has ended: its exit status.
    int join() { return *join_until(arch::no_deadline); }
    /// Nothing when the clock reached the deadline first; the thread may still be joined then.
    std::optional<int> join_until(std::uint64_t deadline_ns);
    /// The thread goes on by itself, and whatever it has goes with it when it ends.
    void detach();

  private:
    Thread* thread_ = nullptr;
};

}  // namespace exo::guest
