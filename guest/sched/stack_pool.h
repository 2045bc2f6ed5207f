#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "guest/arch/spin_lock.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// Keeps some stacks of threads that have ended for those to come: mapping one is work, and taking its
/// mapping back interrupts every processor.
class StackPool {
  public:
    static constexpr std::size_t most_kept = 16;

    constexpr StackPool() = default;
    ~StackPool();
    StackPool(const StackPool&) = delete;
    StackPool& operator=(const StackPool&) = delete;

    /// One that was kept, as its user left it, or a new one filled with `fresh`.
    Result<std::span<std::byte>> take(std::size_t size, std::uint64_t fresh);
    void give_back(std::span<std::byte> stack);

  private:
    SpinLock lock_;
    std::array<std::span<std::byte>, most_kept> kept_ EXO_THREAD_SAFETY(guarded_by(lock_)) = {};
    std::size_t count_ EXO_THREAD_SAFETY(guarded_by(lock_)) = 0;
};

}  // namespace exo::guest
