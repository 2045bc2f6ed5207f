// Any form of context with the eager save and restore of the vector registers around the switch.
#pragma once

#include <optional>

#include "guest/sched/switch/simd_state.h"
#include "tests/bench/switch/patterns.h"

namespace exo::bench {

template <class Base, guest::SimdFormat::Method method>
struct SimdContext {
    static constexpr std::size_t area_bytes = 4096;

    Base base;
    alignas(guest::SimdFormat::alignment) std::array<std::byte, area_bytes> area{};
    guest::SimdFormat format = guest::SimdFormat::of_this_cpu(method).value_or(guest::SimdFormat{});
    guest::SimdState simd{format, area.data()};
};

template <class Base, guest::SimdFormat::Method method>
void prepare(SimdContext<Base, method>& context, std::span<std::byte> stack, guest::ContextEntry entry,
             void* argument) {
    prepare(context.base, stack, entry, argument);
}

template <class Base, guest::SimdFormat::Method method>
[[gnu::always_inline]] inline void* switch_context(SimdContext<Base, method>& from,
                                                   const SimdContext<Base, method>& to, void* value) {
    guest::switch_simd(&from.simd, &to.simd);
    return switch_context(from.base, to.base, value);
}

}  // namespace exo::bench
