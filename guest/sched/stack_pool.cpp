#include "guest/sched/stack_pool.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "guest/arch/arch.h"

namespace exo::guest {

StackPool::~StackPool() {
    const Locked guard(lock_);
    for (const std::span<std::byte> stack : std::span(kept_).first(count_))
        arch::release_guarded_stack(stack);
}

Result<std::span<std::byte>> StackPool::take(std::size_t size, std::uint64_t fresh) {
    {
        const Locked guard(lock_);
        for (std::size_t i = count_; i-- > 0;) {
            if (kept_[i].size() < size || kept_[i].size() - size >= 4096) continue;
            return std::exchange(kept_[i], kept_[--count_]);
        }
    }
    const auto stack = arch::allocate_guarded_stack(size);
    if (stack)
        std::fill_n(reinterpret_cast<std::uint64_t*>(stack->data()), stack->size() / sizeof fresh, fresh);
    return stack;
}

void StackPool::give_back(std::span<std::byte> stack) {
    {
        const Locked guard(lock_);
        if (count_ < most_kept) {
            kept_[count_++] = stack;
            return;
        }
    }
    arch::release_guarded_stack(stack);
}

}  // namespace exo::guest
