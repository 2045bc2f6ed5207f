// What a switch does, in each of its forms. Compiled in several ways: see CMakeLists.txt.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

#include "tests/unit/sched_switch/partner.h"

namespace exo::guest {
namespace {

template <class Context>
class ContextTest : public testing::Test {};
using Forms = testing::Types<WindowedContext, FullContext, ClassicContext>;
TYPED_TEST_SUITE(ContextTest, Forms, );

TEST(WindowedContextTest, IsTwoRegisters) {
    EXPECT_EQ(sizeof(WindowedContext), 16u);
}

TEST(FullContextTest, IsOneCacheLine) {
    EXPECT_EQ(sizeof(FullContext), 64u);
    EXPECT_EQ(alignof(FullContext), 64u);
}

TYPED_TEST(ContextTest, EntryGetsItsArgumentAndTheFirstValue) {
    Partner<TypeParam> partner([](auto& self, void* value) { self.data = value; });
    partner.visit(as_value(17));
    EXPECT_EQ(partner.data, as_value(17));
}

TYPED_TEST(ContextTest, ValuesPassBothWays) {
    Partner<TypeParam> partner([](auto& self, void* value) {
        for (;;) value = self.leave(as_value(as_number(value) + 1));
    });
    for (std::uintptr_t i = 0; i < 100; ++i) ASSERT_EQ(partner.visit(as_value(10 * i)), as_value(10 * i + 1));
}

/// Notes the stack pointer it was entered with, then goes on with `next`.
struct EntryProbe {
    std::uintptr_t stack_pointer = 0;
    ContextEntry next = nullptr;
};
extern "C" void exo_test_probe_entry(void* probe, void* value);
asm(R"(
    .pushsection .text
    .globl exo_test_probe_entry
exo_test_probe_entry:
    movq %rsp, (%rdi)
    jmpq *8(%rdi)
    .popsection
)");

TYPED_TEST(ContextTest, ANewStackIsAlignedAsTheAbiWantsItWhereverItEnds) {
    struct Case : EntryProbe {
        TypeParam outside, inside;
        SwitchAnnotation outside_annotation, inside_annotation;
    };
    for (std::size_t cut = 0; cut < 32; ++cut) {
        const GuardedStack stack;
        Case test;
        test.outside_annotation.adopt_running();
        test.inside_annotation.created(stack.bytes());
        test.next = [](void* argument, void*) {
            auto& self = *static_cast<Case*>(argument);
            self.inside_annotation.arrived();
            char text[64];
            std::snprintf(text, sizeof(text), "%Lf %f", 1.5L, 2.5);  // stores aligned vectors
            self.inside_annotation.before_last_switch_to(self.outside_annotation);
            switch_context(self.inside, self.outside);
        };
        test.inside = prepare_context<TypeParam>(stack.bytes().first(GuardedStack::size - cut),
                                                 exo_test_probe_entry, &test);
        test.outside_annotation.before_switch_to(test.inside_annotation);
        switch_context(test.outside, test.inside);
        test.outside_annotation.arrived();
        test.inside_annotation.destroyed();
        // A call leaves it 8 short of a multiple of 16.
        ASSERT_EQ(test.stack_pointer % 16, 8u) << "with " << cut << " bytes cut off the stack";
    }
}

template <class Context>
void count_visits(Partner<Context>& self, void* value) {
    for (;;) value = self.leave(as_value(as_number(value) + 1));
}

TYPED_TEST(ContextTest, TenThousandSwitches) {
    Partner<TypeParam> partner(count_visits<TypeParam>);
    std::uintptr_t count = 0;
    for (int i = 0; i < 5'000; ++i) count = as_number(partner.visit(as_value(count)));
    EXPECT_EQ(count, 5'000u);
}

#if defined(NDEBUG) && !defined(EXO_ANNOTATE_FOR_ASAN) && !defined(EXO_ANNOTATE_FOR_TSAN)
TYPED_TEST(ContextTest, TenMillionSwitches) {
    Partner<TypeParam> partner(count_visits<TypeParam>);
    std::uintptr_t count = 0;
    for (int i = 0; i < 5'000'000; ++i) count = as_number(partner.visit(as_value(count)));
    EXPECT_EQ(count, 5'000'000u);
}
#endif

TYPED_TEST(ContextTest, SixtyFourContextsKeepTheirOwnVariables) {
    std::vector<std::unique_ptr<Partner<TypeParam>>> partners;
    for (std::uintptr_t i = 0; i < 64; ++i) {
        partners.push_back(std::make_unique<Partner<TypeParam>>(
            [](auto& self, void*) {
                const std::uintptr_t own = as_number(self.data);
                std::uintptr_t sum = own;
                for (;;) sum += own + as_number(self.leave(as_value(sum)));
            },
            as_value(i)));
        partners.back()->visit();
    }
    for (std::uintptr_t round = 1; round <= 100; ++round) {
        for (std::uintptr_t i = 0; i < 64; ++i)
            ASSERT_EQ(partners[i]->visit(as_value(1)), as_value(i + round * (i + 1)));
    }
}

TYPED_TEST(ContextTest, ASwitchToItselfComesBack) {
    TypeParam self;
    EXPECT_EQ(switch_context(self, self, as_value(5)), as_value(5));
}

TYPED_TEST(ContextTest, OneContextSwitchesToTheNextWithoutTheFirst) {
    struct Chain {
        TypeParam first, second, third;
        std::vector<int> order;
        SwitchAnnotation annotations[3];
    } chain;
    const GuardedStack stacks[2];
    auto& annotations = chain.annotations;
    annotations[0].adopt_running();
    annotations[1].created(stacks[0].bytes());
    annotations[2].created(stacks[1].bytes());
    chain.second = prepare_context<TypeParam>(
        stacks[0].bytes(),
        [](void* argument, void*) {
            auto& c = *static_cast<Chain*>(argument);
            c.annotations[1].arrived();
            c.order.push_back(2);
            c.annotations[1].before_last_switch_to(c.annotations[2]);
            switch_context(c.second, c.third);
        },
        &chain);
    chain.third = prepare_context<TypeParam>(
        stacks[1].bytes(),
        [](void* argument, void*) {
            auto& c = *static_cast<Chain*>(argument);
            c.annotations[2].arrived();
            c.order.push_back(3);
            c.annotations[2].before_last_switch_to(c.annotations[0]);
            switch_context(c.third, c.first);
        },
        &chain);
    annotations[0].before_switch_to(annotations[1]);
    switch_context(chain.first, chain.second);
    annotations[0].arrived();
    annotations[1].destroyed();
    annotations[2].destroyed();
    EXPECT_EQ(chain.order, (std::vector<int>{2, 3}));
}

TYPED_TEST(ContextTest, ExceptionsWorkInsideAContext) {
    Partner<TypeParam> partner([](auto& self, void*) {
        try {
            self.leave();
            throw std::runtime_error("inside");
        } catch (const std::runtime_error&) {
            self.data = as_value(1);
        }
    });
    partner.visit();
    partner.visit();
    EXPECT_EQ(partner.data, as_value(1));
}

template <class Context>
[[gnu::noinline]] void visit_then_throw(Partner<Context>& partner) {
    partner.visit();
    throw std::runtime_error("after a switch");
}

TYPED_TEST(ContextTest, ExceptionsPassThroughAFunctionThatSwitched) {
    Partner<TypeParam> partner([](auto&, void*) {});
    EXPECT_THROW(visit_then_throw(partner), std::runtime_error);
}

}  // namespace
}  // namespace exo::guest
