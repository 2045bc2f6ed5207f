#include "guest/drivers/adaptive/mode_trial.h"

#include <gtest/gtest.h>

#include "guest/drivers/time_source.h"

namespace exo::guest {
namespace {

/// A load that waits for each operation, in stretches of 64.
class Load {
  public:
    ModeTrial trial;
    IoPlan plan = fixed_plan(IoMode::interrupt);
    std::uint64_t now = ns_per_s;

    std::optional<IoPlan> stretch(const IoCost& cost, std::uint32_t depth = 1) {
        for (int i = 0; i < 64; ++i) trial.add(cost, depth);
        operations_ += 64;
        now += 64 * cost.latency_ns / depth;
        return trial.review(plan, {}, {}, now, operations_);
    }

    std::optional<IoPlan> one(const IoCost& cost) {
        trial.add(cost, 1);
        now += cost.latency_ns;
        return trial.review(plan, {}, {}, now, ++operations_);
    }

    void change(const IoPlan& to) {
        trial.changed(plan, now, operations_);
        plan = to;
    }

    /// What comes of a change, held against a stretch before.
    std::optional<IoPlan> try_mode(IoMode mode, const IoCost& before, const IoCost& after) {
        stretch(before);
        change(fixed_plan(mode));
        EXPECT_FALSE(stretch(after)) << "the first stretch has operations of before in it";
        EXPECT_TRUE(trial.under_way());
        const auto back = stretch(after);
        EXPECT_FALSE(trial.under_way());
        if (back) change(*back);
        return back;
    }

    bool allows(IoMode mode) const { return trial.allowed(IoModeSet::all()).has(mode); }

  private:
    std::uint64_t operations_ = 0;
};

constexpr IoCost cheap{.latency_ns = 10'000, .cpu_ns = 1'000};
constexpr IoCost dear{.latency_ns = 12'000, .cpu_ns = 1'000};

TEST(ModeTrial, AModeThatCostsLessStays) {
    Load load;
    EXPECT_EQ(load.try_mode(IoMode::polling, dear, cheap), std::nullopt);
    EXPECT_TRUE(load.allows(IoMode::polling));
}

TEST(ModeTrial, OneThatCostsMoreGoesAndStaysAwayLongerEachTime) {
    Load load;
    unsigned last = 1;
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(load.try_mode(IoMode::polling, cheap, dear), fixed_plan(IoMode::interrupt));
        EXPECT_TRUE(load.allows(IoMode::hybrid));
        unsigned stretches = 0;
        for (; !load.allows(IoMode::polling); ++stretches) load.stretch(cheap);
        EXPECT_GE(stretches, 2 * last);
        last = stretches;
    }
}

TEST(ModeTrial, CpuTimeCountsByItsPrice) {
    const IoCost quick_but_busy{.latency_ns = 9'000, .cpu_ns = 9'000};
    Load load;
    EXPECT_NE(load.try_mode(IoMode::polling, cheap, quick_but_busy), std::nullopt);
}

/// The samples look good, but all operations together took twice as long.
TEST(ModeTrial, WhatSamplesDoNotSeeIsSeenByTheRate) {
    Load load;
    load.stretch(cheap);
    load.stretch(cheap);
    load.change(fixed_plan(IoMode::polling));
    for (int i = 0; i < 2; ++i) {
        load.now += std::uint64_t{64} * 10'000;
        const auto back = load.stretch({.latency_ns = 9'000, .cpu_ns = 1'000});
        EXPECT_EQ(back.has_value(), i == 1);
    }
}

TEST(ModeTrial, ACatastropheIsNotWaitedOut) {
    Load load;
    for (int i = 0; i < 2; ++i) load.stretch(cheap);
    load.change(fixed_plan(IoMode::polling));
    unsigned seen = 0;
    for (std::optional<IoPlan> back; !back; ++seen) {
        ASSERT_LT(seen, 8u);
        back = load.one({.latency_ns = 1'000'000, .cpu_ns = 1'000});
    }
    EXPECT_FALSE(load.allows(IoMode::polling));
}

TEST(ModeTrial, AnotherDepthCannotBeCompared) {
    Load load;
    load.stretch(cheap, 1);
    load.change(fixed_plan(IoMode::polling));
    load.stretch(dear, 8);
    EXPECT_EQ(load.stretch({.latency_ns = 80'000, .cpu_ns = 1'000}, 8), std::nullopt);
}

TEST(ModeTrial, WithAnotherDepthAFailedModeMayBeTriedAgain) {
    Load load;
    EXPECT_NE(load.try_mode(IoMode::polling, cheap, dear), std::nullopt);
    EXPECT_FALSE(load.allows(IoMode::polling));
    load.stretch(cheap, 8);
    load.stretch(cheap, 8);
    EXPECT_TRUE(load.allows(IoMode::polling));
}

/// It swung between two modes when each change came before the present mode's cost was known.
TEST(ModeTrial, IsUnderWayUntilTheModesCostIsKnown) {
    Load load;
    load.stretch(cheap);
    load.change(fixed_plan(IoMode::polling));
    load.stretch(dear);
    load.change(*load.stretch(dear));
    EXPECT_TRUE(load.trial.under_way());
    load.stretch(cheap);
    EXPECT_TRUE(load.trial.under_way());
    load.stretch(cheap);
    EXPECT_FALSE(load.trial.under_way());
}

TEST(ModeTrial, AnotherDeviceIsNotHeldAgainstTheOneBefore) {
    Load load;
    load.stretch(cheap);
    load.trial.forget_usual();
    load.change(fixed_plan(IoMode::polling));
    for (int i = 0; i < 2; ++i) EXPECT_EQ(load.stretch(dear), std::nullopt);
}

TEST(ModeTrial, ExploresLessAndLessOften) {
    Load load;
    EXPECT_FALSE(load.trial.exploration_due()) << "with nothing to hold it against";
    load.stretch(cheap);
    unsigned last = 1;
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(load.trial.exploration_due());
        load.trial.explored();
        unsigned stretches = 0;
        for (; !load.trial.exploration_due(); ++stretches) load.stretch(cheap);
        EXPECT_GE(stretches, 2 * last);
        last = stretches;
    }
    EXPECT_EQ(load.try_mode(IoMode::polling, dear, cheap), std::nullopt);
    load.trial.explored();
    for (int i = 0; i < 8; ++i) load.stretch(cheap);
    EXPECT_TRUE(load.trial.exploration_due()) << "a trial that went well shows that things have changed";
}

}  // namespace
}  // namespace exo::guest
