// The stacks under contexts: where they end, below and above, and where they lie in the cache.
#include <execinfo.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <set>
#include <type_traits>

#include "guest/kernel/backtrace.h"
#include "guest/sched/switch/stack_colour.h"
#include "tests/unit/sched_switch/partner.h"

namespace exo::guest {

/// All that these tests need of the machine.
bool arch::is_readable(std::uintptr_t) {
    return true;
}

namespace {

template <class Context>
class StackTest : public testing::Test {};
using Forms = testing::Types<WindowedContext, FullContext, ClassicContext>;
TYPED_TEST_SUITE(StackTest, Forms, );
template <class Context>
class StackDeathTest : public testing::Test {};
TYPED_TEST_SUITE(StackDeathTest, Forms, );

[[gnu::noinline]] std::uintptr_t recurse_for_ever(std::uintptr_t depth) {
    volatile char frame[512];
    frame[0] = static_cast<char>(depth);
    const std::uintptr_t result = depth == ~std::uintptr_t{0} ? 0 : recurse_for_ever(depth + 1);
    return result + static_cast<std::uintptr_t>(frame[0]);
}

constexpr int guard_was_hit = 42;
const std::byte* guard_begin = nullptr;

/// Ends the process with guard_was_hit if the fault is in the guard page.
void report_faults_in(const GuardedStack& stack) {
    guard_begin = stack.guard().data();
    static std::byte signal_stack[64 * 1024];
    const stack_t alternative{.ss_sp = signal_stack, .ss_flags = 0, .ss_size = sizeof(signal_stack)};
    sigaltstack(&alternative, nullptr);
    struct sigaction action{};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
        const auto* const address = static_cast<const std::byte*>(info->si_addr);
        _exit(address >= guard_begin && address < guard_begin + GuardedStack::page ? guard_was_hit : 1);
    };
    sigaction(SIGSEGV, &action, nullptr);
}

TYPED_TEST(StackDeathTest, AnOverflowHitsTheGuard) {
    const auto overflow = [] {
        Partner<TypeParam> partner(
            [](auto& self, void*) { self.data = as_value(recurse_for_ever(as_number(self.data))); });
        report_faults_in(partner.stack());
        partner.visit();
    };
    EXPECT_EXIT(overflow(), testing::ExitedWithCode(guard_was_hit), "");
}

TYPED_TEST(StackDeathTest, AnEntryThatReturnsTraps) {
    const auto return_from_entry = [] {
        signal(SIGILL, [](int) { _exit(guard_was_hit); });
        const GuardedStack stack;
        TypeParam outside;
        const auto inside = prepare_context<TypeParam>(stack.bytes(), [](void*, void*) {}, nullptr);
        switch_context(outside, inside);
    };
    EXPECT_EXIT(return_from_entry(), testing::ExitedWithCode(guard_was_hit), "");
}

struct Trace {
    void* unwound[32];
    int unwound_count = 0;
    int walked_count = 0;
    bool start_is_outermost = false;
};

bool is_in_context_start(const void* address) {
    const auto start = reinterpret_cast<std::uintptr_t>(detail::exo_context_start);
    return reinterpret_cast<std::uintptr_t>(address) - start < 32;
}

[[gnu::noinline]] void trace_here(Trace& trace) {
    trace.unwound_count = backtrace(trace.unwound, 32);
    std::uintptr_t outermost = 0;
    walk_frames(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)), [&](std::uintptr_t address) {
        ++trace.walked_count;
        outermost = address;
    });
    trace.start_is_outermost = is_in_context_start(reinterpret_cast<void*>(outermost));
}

/// Both kinds: by call frame information, as debuggers and exceptions do it, and along the frame pointers, as
/// the kernel's panic does.
TYPED_TEST(StackTest, ABacktraceEndsWhereTheContextBegan) {
    Trace trace;
    Partner<TypeParam> partner([](auto& self, void*) { trace_here(*static_cast<Trace*>(self.data)); },
                               &trace);
    partner.visit();
    ASSERT_GE(trace.unwound_count, 3);
    ASSERT_LE(trace.unwound_count, 8);
    EXPECT_TRUE(is_in_context_start(trace.unwound[trace.unwound_count - 1]));
    EXPECT_GE(trace.walked_count, 2);
    EXPECT_LE(trace.walked_count, 8);
    EXPECT_TRUE(trace.start_is_outermost);
}

TEST(StackColourTest, SixtyFourStacksBeginInSixtyFourLines) {
    const GuardedStack stack;
    std::set<std::uintptr_t> lines;
    for (std::size_t i = 0; i < 64; ++i) {
        const auto coloured = colour_stack(stack.bytes(), i);
        EXPECT_EQ(coloured.data(), stack.bytes().data());
        EXPECT_LE(stack.bytes().size() - coloured.size(), 4032u);
        lines.insert(reinterpret_cast<std::uintptr_t>(coloured.data() + coloured.size()) / 64 % 64);
    }
    EXPECT_EQ(lines.size(), 64u);
    EXPECT_EQ(colour_stack(stack.bytes(), 64).size(), stack.bytes().size());
}

TEST(SwitchAnnotationTest, IsNothingWithoutSanitizers) {
#if defined(EXO_ANNOTATE_FOR_ASAN) || defined(EXO_ANNOTATE_FOR_TSAN)
    GTEST_SKIP() << "built with a sanitizer";
#endif
    EXPECT_TRUE(std::is_empty_v<SwitchAnnotation>);
}

}  // namespace
}  // namespace exo::guest
