#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "guest/kernel/error.h"
#include "guest/sched/stack_pool.h"

namespace exo::guest {

/// The stack of a thread: a guard below it, so that an overflow is caught, another cache colour for each
/// number, and a pattern wherever nobody has been yet.
class ThreadStack {
  public:
    /// Under sanitizers frames are several times as large.
    static constexpr std::size_t usual_size = (__STDC_HOSTED__ != 0 ? 256 : 64) << 10;
    static constexpr std::size_t least_size = 8 << 10;

    /// From the pool, which outlives it, and back to it in the end.
    static Result<ThreadStack> allocate(StackPool& pool, std::size_t size, std::size_t number);

    /// None.
    ThreadStack() = default;
    ThreadStack(ThreadStack&& other) noexcept
        : pool_(other.pool_),
          memory_(std::exchange(other.memory_, {})),
          usable_(std::exchange(other.usable_, {})) {}
    ThreadStack& operator=(ThreadStack&&) = delete;
    ~ThreadStack();

    std::span<std::byte> memory() const { return memory_; }
    /// Takes room for an object off the top.
    void* reserve(std::size_t size, std::size_t alignment);
    /// What is left for frames.
    std::span<std::byte> usable() const { return usable_; }

    /// The most bytes that have ever been in use, counted from the top. May be asked while the thread runs.
    std::size_t high_water() const;

  private:
    ThreadStack(StackPool& pool, std::span<std::byte> memory)
        : pool_(&pool), memory_(memory), usable_(memory) {}

    StackPool* pool_ = nullptr;
    std::span<std::byte> memory_;
    std::span<std::byte> usable_;
};

}  // namespace exo::guest
