#include "guest/sched/thread_stack.h"

#include <algorithm>
#include <cstdint>

#include "guest/arch/arch.h"
#include "guest/sched/switch/stack_colour.h"

namespace exo::guest {
namespace {

constexpr std::uint64_t untouched = 0x5afe'57ac'5afe'57ac;

std::span<std::uint64_t> words_of(std::span<std::byte> memory) {
    return {reinterpret_cast<std::uint64_t*>(memory.data()), memory.size() / sizeof(std::uint64_t)};
}

/// Looks at words that their thread may be writing, and that a sanitizer calls forbidden.
[[gnu::no_sanitize_address, gnu::no_sanitize_thread]] std::size_t count_untouched(
    std::span<const std::uint64_t> words) {
    std::size_t count = 0;
    while (count < words.size() && *static_cast<const volatile std::uint64_t*>(&words[count]) == untouched)
        ++count;
    return count;
}

}  // namespace

Result<ThreadStack> ThreadStack::allocate(StackPool& pool, std::size_t size, std::size_t number) {
    const auto memory = pool.take(std::max(size, least_size), untouched);
    if (!memory) return std::unexpected(memory.error());
    ThreadStack stack(pool, *memory);
    // What the one before has used.
    std::ranges::fill(words_of(memory->last(stack.high_water())), untouched);
    stack.usable_ = colour_stack(stack.memory_, number);
    return stack;
}

ThreadStack::~ThreadStack() {
    if (!memory_.empty()) pool_->give_back(memory_);
}

void* ThreadStack::reserve(std::size_t size, std::size_t alignment) {
    const auto top = reinterpret_cast<std::uintptr_t>(usable_.data() + usable_.size());
    const std::uintptr_t place = (top - size) / alignment * alignment;
    usable_ = usable_.first(usable_.size() - (top - place));
    return usable_.data() + usable_.size();
}

std::size_t ThreadStack::high_water() const {
    return memory_.size() - count_untouched(words_of(memory_)) * sizeof(std::uint64_t);
}

}  // namespace exo::guest
