// The ways an allocator is used. Every piece carries a word that is checked when it is freed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "tests/bench/frame/case.h"

namespace exo::bench {

struct Live {
    void* memory = nullptr;
    std::uint32_t size = 0;
};

/// Writes the word that `Checker` expects.
[[gnu::always_inline]] inline void mark(void* memory, std::uint64_t value) {
    asm volatile("movq %1, (%0)" ::"r"(memory), "r"(value) : "memory");
}
[[gnu::always_inline]] inline std::uint64_t marked(const void* memory) {
    std::uint64_t value;
    asm volatile("movq (%1), %0" : "=r"(value) : "r"(memory) : "memory");
    return value;
}

/// The same sequence of places and sizes for everybody, so that no generator is measured.
struct RandomUse {
    static constexpr std::size_t steps = 16'384;  ///< before it begins anew
    static constexpr std::size_t rounds = 4;
    static constexpr std::size_t places = 1'000;
    struct Step {
        std::uint16_t place;
        std::uint16_t size;
    };

    RandomUse() {
        std::uint64_t state = 88'172'645'463'325'252;
        for (Step& step : sequence) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            step = {static_cast<std::uint16_t>(state % places),
                    static_cast<std::uint16_t>(8 + (state >> 32) % 2'041)};
        }
    }
    static const RandomUse& instance() {
        static const RandomUse only;
        return only;
    }
    std::array<Step, steps> sequence{};
};

/// One after the other, of one size: the object is always the one freed last.
template <class Heap, std::size_t size>
Run run_hot_pair(Stage& stage) {
    static constexpr std::uint64_t rounds = 65'536;
    std::uint64_t sum = 0;
    const std::uint64_t ticks = stage.run(
        [](void* context) {
            std::uint64_t sum_here = 0;
            for (std::uint64_t i = 0; i < rounds; ++i) {
                void* const memory = Heap::allocate(size);
                mark(memory, i);
                sum_here += marked(memory);
                Heap::release(memory, size, 0);
            }
            *static_cast<std::uint64_t*>(context) = sum_here;
        },
        &sum);
    return {ticks, rounds, sum == rounds * (rounds - 1) / 2};
}

/// A thousand pieces of 8 to 2048 bytes, each step replaces one at random.
template <class Heap>
class RandomReplacement {
  public:
    static void replace(std::array<Live, RandomUse::places>& live, bool& intact) {
        for (std::size_t round = 0; round < RandomUse::rounds; ++round) replace_once(live, intact);
    }

  private:
    static void replace_once(std::array<Live, RandomUse::places>& live, bool& intact) {
        for (const RandomUse::Step& step : RandomUse::instance().sequence) {
            Live& piece = live[step.place];
            if (piece.memory != nullptr) {
                intact &= marked(piece.memory) == (piece.size ^ std::uint64_t{step.place} << 32);
                Heap::release(piece.memory, piece.size, 0);
            }
            piece = {Heap::allocate(step.size), step.size};
            mark(piece.memory, piece.size ^ std::uint64_t{step.place} << 32);
        }
    }
};

template <class Heap>
Run run_random(Stage& stage) {
    struct Context {
        std::array<Live, RandomUse::places> live{};
        bool intact = true;
    };
    static Context context;
    (void)RandomUse::instance();
    const std::uint64_t ticks = stage.run(
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            RandomReplacement<Heap>::replace(here.live, here.intact);
        },
        &context);
    return {ticks, RandomUse::steps * RandomUse::rounds, context.intact};
}

/// Many allocations, then as many frees, of 64 bytes.
template <class Heap, std::size_t count>
Run run_batch(Stage& stage) {
    static constexpr std::uint64_t rounds = 16'384 / count;
    std::uint64_t sum = 0;
    const std::uint64_t ticks = stage.run(
        [](void* context) {
            static std::array<void*, count> live;
            std::uint64_t sum_here = 0;
            for (std::uint64_t round = 0; round < rounds; ++round) {
                for (std::size_t i = 0; i < count; ++i) {
                    live[i] = Heap::allocate(64);
                    mark(live[i], i);
                }
                for (void* const memory : live) {
                    sum_here += marked(memory);
                    Heap::release(memory, 64, 0);
                }
            }
            *static_cast<std::uint64_t*>(context) = sum_here;
        },
        &sum);
    return {ticks, rounds * count, sum == rounds * (count * (count - 1) / 2)};
}

/// Larson's server: each of two threads replaces pieces at random, and from run to run they swap all they
/// have. An operation is one replacement by one of them.
template <class Heap>
Run run_larson(Stage& stage) {
    struct Side {
        std::array<Live, RandomUse::places> live{};
        bool intact = true;
    };
    struct Context {
        std::array<Side, 2> sides{};
        std::size_t first = 0;
    };
    static Context context;
    (void)RandomUse::instance();
    context.first ^= 1;
    const std::uint64_t ticks = stage.run_together(
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            Side& side = here.sides[here.first];
            RandomReplacement<Heap>::replace(side.live, side.intact);
        },
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            Side& side = here.sides[here.first ^ 1];
            RandomReplacement<Heap>::replace(side.live, side.intact);
        },
        &context);
    return {ticks, RandomUse::steps * RandomUse::rounds, context.sides[0].intact && context.sides[1].intact};
}

/// One thread allocates 64 bytes and writes them, the other reads and frees them; at most 1,024 are on the
/// way.
template <class Heap>
Run run_producer_consumer(Stage& stage) {
    static constexpr std::uint64_t count = 32'768;
    static constexpr std::uint64_t burst = 32;
    struct Context {
        std::array<void*, 1'024> places{};
        alignas(128) std::uint64_t produced = 0;
        alignas(128) std::uint64_t consumed = 0;
        alignas(128) std::uint64_t sum = 0;
    };
    static Context context;
    context.produced = context.consumed = context.sum = 0;
    const std::uint64_t ticks = stage.run_together(
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            for (std::uint64_t i = 0; i < count; i += burst) {
                while (i + burst - __atomic_load_n(&here.consumed, __ATOMIC_ACQUIRE) > here.places.size()) {
                }
                for (std::uint64_t k = i; k < i + burst; ++k) {
                    void* const memory = Heap::allocate(64);
                    mark(memory, k);
                    here.places[k % here.places.size()] = memory;
                }
                __atomic_store_n(&here.produced, i + burst, __ATOMIC_RELEASE);
            }
        },
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            for (std::uint64_t i = 0; i < count; i += burst) {
                while (__atomic_load_n(&here.produced, __ATOMIC_ACQUIRE) < i + burst) {
                }
                for (std::uint64_t k = i; k < i + burst; ++k) {
                    void* const memory = here.places[k % here.places.size()];
                    here.sum += marked(memory);
                    Heap::release(memory, 64, 0);
                }
                __atomic_store_n(&here.consumed, i + burst, __ATOMIC_RELEASE);
            }
        },
        &context);
    return {ticks, count, context.sum == count * (count - 1) / 2};
}

}  // namespace exo::bench
