#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

namespace exo::guest {

/// Where a new context begins, with the argument it was prepared with and the value the first switch to it
/// passed. It must not return: that traps.
using ContextEntry = void (*)(void* argument, void* value);

namespace detail {

/// What a new context finds on its stack, lowest address first. exo_context_start() pops the first two and
/// calls; the zeros are the return address and the frame pointer at which every backtrace ends. A multiple of
/// 16 bytes, so that the entry's stack is aligned as the ABI wants it.
struct StartFrame {
    void* argument;
    ContextEntry entry;
    void* caller_frame = nullptr;
    void* caller = nullptr;
};
static_assert(sizeof(StartFrame) == 32);

/// The first instruction of every context. Expects the stack pointer at a StartFrame and the switch's value
/// in RAX.
extern "C" void exo_context_start();

/// Puts a StartFrame at the top of the stack, 16-byte aligned.
inline StartFrame* push_start_frame(std::span<std::byte> stack, ContextEntry entry, void* argument) {
    const auto end = reinterpret_cast<std::uintptr_t>(stack.data() + stack.size());
    std::byte* const top = stack.data() + stack.size() - end % 16;
    return new (top - sizeof(StartFrame)) StartFrame{argument, entry};
}

}  // namespace detail

/// A context that will run `entry(argument, value)` on `stack` when it is first switched to. Nothing is freed
/// with it; the stack belongs to the caller, who keeps it as long as the context may run. The stack grows
/// down from its end and must have room for what the entry does and for interrupts.
template <class Context>
Context prepare_context(std::span<std::byte> stack, ContextEntry entry, void* argument) {
    return Context::starting_at(detail::push_start_frame(stack, entry, argument));
}

}  // namespace exo::guest
