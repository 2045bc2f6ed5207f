// The scheduler's two hand-shakes, under all interleavings.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "explorer.h"
#include "guest/sched/idle_set.h"
#include "guest/sched/wake_word.h"
#include "model_atomics.h"

namespace exo::guest {
namespace {

using model::check;
using model::ModelAtomics;
using model::Scenario;
using model::World;

template <class T>
T* place(World& world, const char* name) {
    T* const object = new (world.memory(4096).data()) T;
    world.name(object, name);
    return object;
}

/// A thread that sleeps until both of two others have done their part. `Atomics` is that of the wake word.
template <class Atomics>
Scenario one_sleeper_two_wakers() {
    return [](World& world) {
        auto* const word = place<WakeWord<Atomics>>(world, "wake word");
        auto* const parts = place<std::array<std::uint32_t, 2>>(world, "parts");
        bool& made_ready = world.event();
        const auto times_ready = std::make_shared<int>(0);
        const auto times_parked = std::make_shared<int>(0);
        world.thread("sleeper", [=, &made_ready] {
            const auto all_done = [&] {
                return ModelAtomics::load_relaxed((*parts)[0]) != 0 &&
                       ModelAtomics::load_relaxed((*parts)[1]) != 0;
            };
            while (!all_done()) {
                if (word->take_token()) continue;
                if (word->park()) {
                    ++*times_parked;
                    model::sleep_on(made_ready);
                }
                check(word->take_token(), "a thread runs again without a token");
            }
        });
        for (std::size_t i = 0; i < 2; ++i)
            world.thread(i == 0 ? "waker 1" : "waker 2", [=, &made_ready] {
                ModelAtomics::store_relaxed((*parts)[i], 1U);
                if (!word->notify()) return;
                ++*times_ready;
                model::notify(made_ready);
            });
        world.finally([=] { check(*times_ready == *times_parked, "made ready other than once a sleep"); });
    };
}

/// CPUs that sleep when there is nothing to do, and as many threads that become ready, one for each. Nobody
/// else takes them, so whoever sleeps while one waits sleeps for ever.
template <class Atomics>
Scenario idle_cpus(std::uint32_t cpus) {
    struct Shared {
        IdleSet<Atomics> idle;
        alignas(64) std::uint32_t ready = 0;
    };
    return [=](World& world) {
        auto* const shared = place<Shared>(world, "idle CPUs");
        world.name(&shared->ready, "ready threads");
        const auto interrupts = std::make_shared<std::vector<bool*>>();
        for (unsigned cpu = 0; cpu < cpus; ++cpu) interrupts->push_back(&world.event());
        for (unsigned cpu = 0; cpu < cpus; ++cpu)
            world.thread(cpu == 0 ? "cpu 0" : "cpu 1", [=] {
                for (bool took = false; !took;) {
                    shared->idle.sleep_unless(
                        cpu, [&] { return ModelAtomics::load_seq_cst(shared->ready) != 0; },
                        [&] { model::sleep_on(*(*interrupts)[cpu]); });
                    std::uint32_t ready = ModelAtomics::load_seq_cst(shared->ready);
                    took = ready != 0 && ModelAtomics::compare_exchange(shared->ready, ready, ready - 1);
                }
            });
        world.thread("waker", [=] {
            for (std::uint32_t i = 0; i < cpus; ++i) {
                if (cpus == 1)
                    Atomics::store_seq_cst(shared->ready, 1U);
                else
                    ModelAtomics::fetch_add(shared->ready, 1U);
                shared->idle.wake_any([&](unsigned cpu) { model::notify(*(*interrupts)[cpu]); });
            }
        });
    };
}

void expect_correct(const Scenario& scenario) {
    const model::Result result = model::explore(scenario);
    ASSERT_FALSE(result.failure) << result.failure->what << "\n" << result.failure->trace;
    EXPECT_TRUE(result.complete);
    EXPECT_GT(result.states, 20U);
    testing::Test::RecordProperty("states", std::to_string(result.states));
}

void expect_found(const Scenario& scenario) {
    const model::Result result = model::explore(scenario);
    ASSERT_TRUE(result.failure) << "not found in " << result.states << " states";
    EXPECT_EQ(model::replay(scenario, result.failure->schedule).what, result.failure->what);
}

TEST(WakeModel, NoWakeUpIsLost) {
    expect_correct(one_sleeper_two_wakers<ModelAtomics>());
}

TEST(WakeModel, NoCpuSleepsWhileAThreadWaits) {
    expect_correct(idle_cpus<ModelAtomics>(1));
}

TEST(WakeModel, NoneOfTwoCpusSleepsWhileAThreadWaits) {
    expect_correct(idle_cpus<ModelAtomics>(2));
}

/// A waker that finds a token leaves the word as it is.
struct TokenIsEnough : ModelAtomics {
    template <class Word>
    static bool compare_exchange(Word& word, Word& expected, std::type_identity_t<Word> desired) {
        if (expected == desired && ModelAtomics::load_relaxed(word) == expected) return true;
        return ModelAtomics::compare_exchange(word, expected, desired);
    }
};
TEST(BrokenWake, TokenFoundWithoutAWrite) {
    expect_found(one_sleeper_two_wakers<TokenIsEnough>());
}

/// Looks and writes in two steps.
struct InTwoSteps : ModelAtomics {
    template <class Word>
    static bool compare_exchange(Word& word, Word& expected, std::type_identity_t<Word> desired) {
        const Word found = ModelAtomics::load_relaxed(word);
        if (found != expected) {
            expected = found;
            return false;
        }
        ModelAtomics::store_release(word, desired);
        return true;
    }
};
TEST(BrokenWake, WakeWordInTwoSteps) {
    expect_found(one_sleeper_two_wakers<InTwoSteps>());
}
/// On x86 the bit then becomes visible after the queues have been looked at.
TEST(BrokenWake, IdleBitByAPlainStore) {
    expect_found(idle_cpus<InTwoSteps>(1));
}

/// A queue's length that may become visible only after idle CPUs have been looked for.
struct StoresLate : ModelAtomics {
    template <class Word>
    static void store_seq_cst(Word& word, std::type_identity_t<Word> value) {
        ModelAtomics::store_release(word, value);
    }
};
TEST(BrokenWake, LengthPublishedLate) {
    expect_found(idle_cpus<StoresLate>(1));
}

}  // namespace
}  // namespace exo::guest
