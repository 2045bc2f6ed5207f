#include <coroutine>

#include "tests/bench/switch/assembly_contexts.h"
#include "tests/bench/switch/own_cases.h"
#include "tests/bench/switch/peer_contexts.h"
#include "tests/bench/switch/simd_context.h"

namespace exo::bench {
namespace {

using Method = guest::SimdFormat::Method;
struct PeerFlags;

/// A function that can only leave where it stands itself, not from a function it called: no stack to switch.
struct Coroutine {
    struct promise_type {
        Coroutine get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
    std::coroutine_handle<promise_type> handle;
};

Coroutine count_resumptions(std::uint64_t& visits) {
    for (;;) {
        ++visits;
        co_await std::suspend_always{};
    }
}

/// Resumed in turn, from one place. To resume and to suspend are a switch each.
template <std::size_t count, std::uint64_t rounds>
Run run_coroutines(Stage& stage) {
    struct Coroutines {
        std::array<std::uint64_t, count> visits{};
        std::array<std::coroutine_handle<>, count> handles;
    } all;
    for (std::size_t i = 0; i < count; ++i) all.handles[i] = count_resumptions(all.visits[i]).handle;
    // Nobody may look through the handles at the one function behind them.
    asm volatile("" : : "r"(all.handles.data()) : "memory");
    const std::uint64_t ticks = stage.run(
        [](void* context) {
            auto& coroutines = *static_cast<Coroutines*>(context);
            for (std::uint64_t i = 0; i < rounds; ++i)
                for (const auto handle : coroutines.handles) handle.resume();
        },
        &all);
    bool verified = true;
    for (std::size_t i = 0; i < count; ++i) {
        verified = verified && all.visits[i] == rounds;
        all.handles[i].destroy();
    }
    return {ticks, 2 * rounds * count, verified};
}

template <class Base>
constexpr auto two_slow = PingPong<Base, PeerFlags, slow_rounds>::run;
template <Method method>
constexpr auto classic_with = two_slow<SimdContext<guest::ClassicContext, method>>;
template <Method method>
constexpr auto windowed_with = two_slow<SimdContext<guest::WindowedContext, method>>;

EXO_BENCH_CASES constexpr auto six_registers =
    switch_cases<SixRegisterContext, PeerFlags>("six registers, pop + jmp (libco's kind)", Side::peer);

EXO_BENCH_CASES const Case cases[] = {
    {"switch", "two contexts", "Boost.Context", per_switch, boost_context::Two<fast_rounds>::run, Side::peer,
     1},
    {"switch", "two contexts", "swapcontext", per_switch, two_slow<SwapContext>, Side::peer, 1},
    {"switch", "two contexts", "classic + iretq", per_switch,
     PingPong<ClassicIretContext, PeerFlags, slow_rounds>::run, Side::peer, 1},
    {"switch", "two contexts", "classic + fxsave", per_switch, classic_with<Method::fxsave>, Side::peer, 1},
    {"switch", "two contexts", "classic + xsave", per_switch, classic_with<Method::xsave>, Side::peer, 1},
    {"switch", "two contexts", "six registers, ending in ret", per_switch,
     PingPong<SixRegisterRetContext, PeerFlags, fast_rounds>::run, Side::bound, 1},
    {"switch", "two contexts", "windowed, ending in ret", per_switch,
     PingPong<WindowedRetContext, PeerFlags, fast_rounds>::run, Side::bound, 1},
    {"switch", "two contexts", "coroutine, without a stack", per_switch, run_coroutines<1, fast_rounds>,
     Side::bound, 1},
    {"switch", "64 contexts, coloured", "Boost.Context", per_switch,
     boost_context::Ring<Placement::coloured, ring_laps>::run, Side::peer, 1},
    {"switch", "64 contexts, not coloured", "Boost.Context", per_switch,
     boost_context::Ring<Placement::same_offset, ring_laps>::run, Side::peer, 1},
    {"switch", "64 contexts, coloured", "coroutine, without a stack", per_switch,
     run_coroutines<ring_contexts, ring_laps>, Side::bound, 1},
    {"switch", "two contexts that use SIMD", "windowed + xsavec", per_switch, windowed_with<Method::xsavec>,
     Side::own, 1},
    {"switch", "two contexts that use SIMD", "windowed + xsaveopt", per_switch,
     windowed_with<Method::xsaveopt>, Side::own, 1},
    {"switch", "two contexts that use SIMD", "windowed + xsave", per_switch, windowed_with<Method::xsave>,
     Side::own, 1},
    {"switch", "two contexts that use SIMD", "windowed + fxsave", per_switch, windowed_with<Method::fxsave>,
     Side::own, 1},
    {"switch", "two contexts that use SIMD", "classic + fxsave", per_switch, classic_with<Method::fxsave>,
     Side::peer, 1},
    {"switch", "two contexts that use SIMD", "classic + xsave", per_switch, classic_with<Method::xsave>,
     Side::peer, 1},
};

}  // namespace
}  // namespace exo::bench
