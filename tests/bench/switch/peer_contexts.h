// What the C library and Boost offer, in the words the patterns use.
#pragma once

#include <immintrin.h>
#include <ucontext.h>

#include <boost/context/detail/fcontext.hpp>

#include "tests/bench/switch/patterns.h"

namespace exo::bench {

/// POSIX: also changes the signal mask, by a system call.
struct SwapContext {
    ucontext_t context{};
    guest::ContextEntry entry = nullptr;
    void* argument = nullptr;
    void* value = nullptr;
};

inline void prepare(SwapContext& context, std::span<std::byte> stack, guest::ContextEntry entry,
                    void* argument) {
    getcontext(&context.context);
    context.context.uc_stack.ss_sp = stack.data();
    context.context.uc_stack.ss_size = stack.size();
    context.entry = entry;
    context.argument = argument;
    const auto address = reinterpret_cast<std::uintptr_t>(&context);
    void (*const begin)(unsigned, unsigned) = [](unsigned low, unsigned high) {
        auto& self = *reinterpret_cast<SwapContext*>(std::uintptr_t{high} << 32 | low);
        self.entry(self.argument, self.value);
    };
    makecontext(&context.context, reinterpret_cast<void (*)()>(begin), 2, static_cast<unsigned>(address),
                static_cast<unsigned>(address >> 32));
}
inline void* switch_context(SwapContext& from, SwapContext& to, void* value) {
    to.value = value;
    swapcontext(&from.context, &to.context);
    return from.value;
}

/// Boost gives a new handle of a context each time it is left, to the one who comes. That one knows from the
/// pattern whose it is, so no message has to say it.
namespace boost_context {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

/// Boost switches MXCSR with the registers, and that takes twice as long when the two differ, be it by an
/// inexact result long ago. This gives both the same.
inline fcontext_t make(std::span<std::byte> stack, void (*entry)(transfer_t)) {
    _mm_setcsr(0x1f80);
    return make_fcontext(stack.data() + stack.size(), stack.size(), entry);
}

template <std::uint64_t rounds>
class Two {
  public:
    static Run run(Stage& stage) {
        partner_ = make(partner_stack(), [](transfer_t home) {
            for (;;) {
                ++visits_;
                home = jump_fcontext(home.fctx, nullptr);
            }
        });
        partner_ = jump_fcontext(partner_, nullptr).fctx;
        visits_ = 0;
        const std::uint64_t ticks = stage.run(
            [](void*) {
                transfer_t partner{partner_, nullptr};
                for (std::uint64_t i = 0; i < rounds; ++i) partner = jump_fcontext(partner.fctx, nullptr);
            },
            nullptr);
        return {ticks, 2 * rounds, visits_ == rounds};
    }

  private:
    static inline fcontext_t partner_;
    static inline std::uint64_t visits_ = 0;
};

template <Placement placement, std::uint64_t laps>
class Ring {
  public:
    static Run run(Stage& stage) {
        for (std::size_t i = 0; i < ring_contexts; ++i) {
            const auto stack = stack_of(i);
            contexts_[i] =
                make(placement == Placement::coloured ? guest::colour_stack(stack, i) : stack, be_one);
        }
        std::uint64_t last = 0;
        go_round(&last, 2);
        const std::uint64_t ticks = stage.run([](void* result) { go_round(result, laps); }, &last);
        return {ticks, laps * ring_contexts, last == ~std::uint64_t{0}};
    }

  private:
    static void go_round(void* last, std::uint64_t rounds) {
        first_ = rounds * ring_contexts;
        const transfer_t back = jump_fcontext(contexts_[first_ % ring_contexts], as_value(first_));
        contexts_[0] = back.fctx;
        *static_cast<std::uint64_t*>(last) = as_number(back.data);
    }
    static void be_one(transfer_t came) {
        for (;;) {
            const std::uint64_t left = as_number(came.data);
            (left == first_ ? home_ : contexts_[(left + 1) % ring_contexts]) = came.fctx;
            came =
                jump_fcontext(left == 0 ? home_ : contexts_[(left - 1) % ring_contexts], as_value(left - 1));
        }
    }

    static inline std::array<fcontext_t, ring_contexts> contexts_;
    static inline fcontext_t home_;
    static inline std::uint64_t first_ = 0;
};

}  // namespace boost_context
}  // namespace exo::bench
