// The explorer itself: the textbook's litmus tests, which say what x86 and C++ allow.
#include "explorer.h"

#include <gtest/gtest.h>

#include <set>

#include "model_atomics.h"

namespace exo::model {
namespace {

struct TwoWords {
    std::uint64_t x;
    alignas(64) std::uint64_t y;
};

TwoWords& two_words(World& world) {
    auto& words = *reinterpret_cast<TwoWords*>(world.memory(sizeof(TwoWords)).data());
    world.name(&words.x, "x");
    world.name(&words.y, "y");
    return words;
}

using Outcomes = std::set<std::pair<std::uint64_t, std::uint64_t>>;

/// Each thread stores into its own word, then reads the other's.
template <class Store>
Outcomes store_buffering(Store store) {
    Outcomes outcomes;
    const Result result = explore([&](World& world) {
        TwoWords& words = two_words(world);
        const auto read = std::make_shared<std::pair<std::uint64_t, std::uint64_t>>();
        world.thread("first", [=, &words] {
            store(words.x);
            read->first = ModelAtomics::load_seq_cst(words.y);
        });
        world.thread("second", [=, &words] {
            store(words.y);
            read->second = ModelAtomics::load_seq_cst(words.x);
        });
        world.finally([=, &outcomes] { outcomes.insert(*read); });
    });
    EXPECT_TRUE(result.complete);
    return outcomes;
}

TEST(Explorer, StoresWaitInTheBufferWhileLoadsGoAhead) {
    EXPECT_EQ(store_buffering([](std::uint64_t& word) { ModelAtomics::store_release(word, 1); }),
              (Outcomes{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
}

TEST(Explorer, SequentiallyConsistentStoresDoNot) {
    EXPECT_EQ(store_buffering([](std::uint64_t& word) { ModelAtomics::store_seq_cst(word, 1); }),
              (Outcomes{{0, 1}, {1, 0}, {1, 1}}));
}

TEST(Explorer, AThreadReadsItsOwnBufferedStore) {
    const Result result = explore([&](World& world) {
        TwoWords& words = two_words(world);
        world.thread("only", [&] {
            ModelAtomics::store_relaxed(words.x, 1);
            ModelAtomics::store_relaxed(words.x, 2);
            check(ModelAtomics::load_relaxed(words.x) == 2, "own store not seen");
        });
    });
    EXPECT_TRUE(result.complete);
    EXPECT_FALSE(result.failure);
}

TEST(Explorer, StoresBecomeVisibleInOrder) {
    Outcomes outcomes;
    const Result result = explore([&](World& world) {
        TwoWords& words = two_words(world);
        const auto read = std::make_shared<std::pair<std::uint64_t, std::uint64_t>>();
        world.thread("writer", [&] {
            ModelAtomics::store_relaxed(words.x, 1);
            ModelAtomics::store_relaxed(words.y, 1);
        });
        world.thread("reader", [=, &words] {
            read->first = ModelAtomics::load_relaxed(words.y);
            read->second = ModelAtomics::load_relaxed(words.x);
        });
        world.finally([=, &outcomes] { outcomes.insert(*read); });
    });
    EXPECT_TRUE(result.complete);
    EXPECT_EQ(outcomes, (Outcomes{{0, 0}, {0, 1}, {1, 1}}));
}

/// What a thread has seen is part of the state, whatever the values: here it stores and loads the same one.
TEST(Explorer, ALoadOfTheValueJustStoredIsNotForgotten) {
    Outcomes outcomes;
    const Result result = explore([&](World& world) {
        TwoWords& words = two_words(world);
        auto& one = *reinterpret_cast<std::uint64_t*>(world.memory(8).data());
        one = 1;
        const auto read = std::make_shared<std::pair<std::uint64_t, std::uint64_t>>();
        world.thread("first", [=, &words, &one] {
            ModelAtomics::store_relaxed(words.x, 1);
            for (int i = 0; i < 2; ++i) check(ModelAtomics::load_relaxed(one) == 1, "nobody writes it");
            read->first = ModelAtomics::load_relaxed(words.y);
        });
        world.thread("second", [=, &words] {
            ModelAtomics::store_seq_cst(words.y, 1);
            read->second = ModelAtomics::load_relaxed(words.x);
        });
        world.finally([=, &outcomes] { outcomes.insert(*read); });
    });
    EXPECT_TRUE(result.complete);
    EXPECT_EQ(outcomes, (Outcomes{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
}

/// One thread writes plain data and raises a flag; the other waits for the flag and reads the data.
template <class Raise, class See>
Result hand_over(Raise raise, See see) {
    return explore([&](World& world) {
        TwoWords& words = two_words(world);
        world.thread("writer", [=, &words] {
            const std::uint64_t data = 7;
            ModelAtomics::copy_to_shared(reinterpret_cast<std::byte*>(&words.x),
                                         reinterpret_cast<const std::byte*>(&data), 8);
            raise(words.y);
        });
        world.thread("reader", [=, &words] {
            retry([&] { return see(words.y) == 1; });
            std::uint64_t data = 0;
            ModelAtomics::copy_from_shared(reinterpret_cast<std::byte*>(&data),
                                           reinterpret_cast<const std::byte*>(&words.x), 8);
            check(data == 7, "stale data");
        });
    });
}

const auto raise_release = [](std::uint64_t& flag) { ModelAtomics::store_release(flag, 1); };
const auto raise_relaxed = [](std::uint64_t& flag) { ModelAtomics::store_relaxed(flag, 1); };
const auto see_acquire = [](std::uint64_t& flag) { return ModelAtomics::load_acquire(flag); };
const auto see_relaxed = [](std::uint64_t& flag) { return ModelAtomics::load_relaxed(flag); };

TEST(Explorer, ReleaseAndAcquireOrderData) {
    const Result result = hand_over(raise_release, see_acquire);
    EXPECT_TRUE(result.complete);
    EXPECT_FALSE(result.failure);
}

TEST(Explorer, RelaxedOrdersAreARaceEvenOnX86) {
    EXPECT_NE(hand_over(raise_relaxed, see_acquire).failure.value().what.find("data race"),
              std::string::npos);
    EXPECT_NE(hand_over(raise_release, see_relaxed).failure.value().what.find("data race"),
              std::string::npos);
}

TEST(Explorer, AWaitThatNobodyEndsIsAFailure) {
    const Result result = explore([&](World& world) {
        TwoWords& words = two_words(world);
        world.thread("waiter", [&] { retry([&] { return ModelAtomics::load_acquire(words.x) == 1; }); });
        world.thread("other", [&] { ModelAtomics::store_release(words.y, 1); });
    });
    ASSERT_TRUE(result.failure);
    EXPECT_NE(result.failure->what.find("waiter waits"), std::string::npos);
}

TEST(Explorer, LostUpdateIsFoundAndItsScheduleReplays) {
    const Scenario scenario = [](World& world) {
        TwoWords& words = two_words(world);
        const auto increment = [&] {
            ModelAtomics::store_release(words.x, ModelAtomics::load_acquire(words.x) + 1);
        };
        world.thread("first", increment);
        world.thread("second", increment);
        world.finally([&] { check(words.x == 2, "an increment was lost"); });
    };
    const Result result = explore(scenario);
    ASSERT_TRUE(result.failure);
    EXPECT_EQ(result.failure->what, "an increment was lost");
    const Failure again = replay(scenario, result.failure->schedule);
    EXPECT_EQ(again.what, result.failure->what);
    EXPECT_EQ(again.trace, result.failure->trace);
    EXPECT_NE(again.trace.find("first"), std::string::npos);
    EXPECT_EQ(replay(scenario, "3,3").what, "the schedule does not fit the scenario");
}

TEST(Explorer, ReadModifyWriteLosesNothing) {
    const Result result = explore([](World& world) {
        TwoWords& words = two_words(world);
        for (const char* name : {"first", "second", "third"})
            world.thread(name, [&] { ModelAtomics::fetch_add(words.x, 1); });
        world.finally([&] { check(words.x == 3, "an increment was lost"); });
    });
    EXPECT_TRUE(result.complete);
    EXPECT_FALSE(result.failure);
}

TEST(Explorer, SleepEndsWithANotificationHoweverEarly) {
    const Result result = explore([](World& world) {
        bool& event = world.event();
        world.thread("sleeper", [&] { sleep_on(event); });
        world.thread("waker", [&] { notify(event); });
    });
    EXPECT_TRUE(result.complete);
    EXPECT_FALSE(result.failure);
}

}  // namespace
}  // namespace exo::model
