// What is done with contexts while it is timed: two in turn, 64 in turn, two with much to keep. Templates
// over the form of context, so that each switch is compiled into the loop that needs it; `Flags` keeps apart
// what several translation units compile differently.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/sched/switch/context_entry.h"
#include "guest/sched/switch/stack_colour.h"
#include "tests/bench/frame/case.h"

namespace exo::bench {

inline constexpr const char* per_switch = "TSC cycles a switch";

inline constexpr std::size_t stack_bytes = 16 * 1024;
inline constexpr std::size_t ring_contexts = 64;
/// One after the other, as a kernel's threads have them.
struct Stacks {
    alignas(4096) std::array<std::array<std::byte, stack_bytes>, ring_contexts> stacks;
};
inline Stacks& shared_stacks() {
    static Stacks stacks{};
    return stacks;
}
inline std::span<std::byte> stack_of(std::size_t number) {
    return shared_stacks().stacks[number];
}

/// Away from where the caller's own stack lies in the cache.
inline std::span<std::byte> partner_stack() {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) / 64 % 64;
    return guest::colour_stack(stack_of(0), 64 - here + 32);
}

template <class Context>
void prepare(Context& context, std::span<std::byte> stack, guest::ContextEntry entry, void* argument) {
    context = guest::prepare_context<Context>(stack, entry, argument);
}

inline void* as_value(std::uint64_t number) {
    return reinterpret_cast<void*>(number);
}
inline std::uint64_t as_number(void* value) {
    return reinterpret_cast<std::uint64_t>(value);
}

/// Two contexts call each other. They lie at fixed addresses, so that the loop itself has nothing to keep.
template <class Context, class Flags, std::uint64_t rounds>
class PingPong {
  public:
    static Run run(Stage& stage) {
        prepare(partner_, partner_stack(), be_partner, nullptr);
        switch_context(home_, partner_, nullptr);
        visits_ = 0;
        const std::uint64_t ticks = stage.run(be_home, nullptr);
        return {ticks, 2 * rounds, visits_ == rounds};
    }

  private:
    static void be_home(void*) {
        for (std::uint64_t i = 0; i < rounds; ++i) switch_context(home_, partner_, nullptr);
    }
    static void be_partner(void*, void*) {
        for (;;) {
            ++visits_;
            switch_context(partner_, home_, nullptr);
        }
    }

    static inline Context home_;
    static inline Context partner_;
    static inline std::uint64_t visits_ = 0;
};

/// The same, each with eight values in use that have to outlive the switch.
template <class Context, class Flags, std::uint64_t rounds>
class LiveValues {
  public:
    static Run run(Stage& stage) {
        prepare(partner_, partner_stack(), be_partner, nullptr);
        struct Result {
            std::uint64_t seen, sum;
        } result{};
        const std::uint64_t ticks = stage.run(
            [](void* context) {
                auto& [seen, sum] = *static_cast<Result*>(context);
                Values values{1};
                for (std::uint64_t i = 0; i < rounds; ++i) {
                    values.advance(i);
                    seen ^= as_number(switch_context(home_, partner_, as_value(i)));
                }
                sum = values.sum();
            },
            &result);
        Values home{1}, partner{2};
        std::uint64_t seen = 0;
        for (std::uint64_t i = 0; i < rounds; ++i) {
            home.advance(i);
            partner.advance(i);
            seen ^= partner.a;
        }
        return {ticks, 2 * rounds, seen == result.seen && home.sum() == result.sum};
    }

  private:
    struct Values {
        std::uint64_t a, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
        [[gnu::always_inline]] void advance(std::uint64_t i) {
            a += b, c += d, e += f, g += h;
            b ^= i, d ^= i, f ^= i, h ^= i;
        }
        std::uint64_t sum() const { return a + b + c + d + e + f + g + h; }
    };

    static void be_partner(void*, void* value) {
        Values values{2};
        for (;;) {
            values.advance(as_number(value));
            value = switch_context(partner_, home_, as_value(values.a));
        }
    }

    static inline Context home_;
    static inline Context partner_;
};

enum class Placement { coloured, same_offset };

/// 64 contexts, each goes on to the next. How many switches are left travels as the switch's value and tells
/// who is next: nothing but the switch itself waits for memory.
template <class Context, class Flags, Placement placement, std::uint64_t rounds>
class Ring {
  public:
    static Run run(Stage& stage) {
        for (std::size_t i = 0; i < ring_contexts; ++i) {
            const auto stack = stack_of(i);
            prepare(contexts_[i], placement == Placement::coloured ? guest::colour_stack(stack, i) : stack,
                    be_one, nullptr);
        }
        std::uint64_t last = 0;
        go_round(&last, 2);
        const std::uint64_t ticks = stage.run([](void* result) { go_round(result, rounds); }, &last);
        return {ticks, rounds * ring_contexts, last == ~std::uint64_t{0}};
    }

  private:
    static void go_round(void* last, std::uint64_t laps) {
        const std::uint64_t switches = laps * ring_contexts;
        *static_cast<std::uint64_t*>(last) =
            as_number(switch_context(home_, contexts_[switches % ring_contexts], as_value(switches)));
    }
    static void be_one(void*, void* value) {
        for (std::uint64_t left = as_number(value);;) {
            Context& self = contexts_[left % ring_contexts];
            Context& next = contexts_[(left - 1) % ring_contexts];
            if (left == 0) [[unlikely]]
                left = as_number(switch_context(self, home_, as_value(left - 1)));
            else
                left = as_number(switch_context(self, next, as_value(left - 1)));
        }
    }

    static inline std::array<Context, ring_contexts> contexts_;
    static inline Context home_;
};

}  // namespace exo::bench
