// The scheduler's two hand-shakes, under all interleavings.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "expectations.h"
#include "guest/sched/idle_set.h"
#include "guest/sched/wake_word.h"
#include "model_atomics.h"

namespace exo::guest {
namespace {

using model::check;
using model::expect_correct;
using model::expect_found;
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

/// Nobody but the CPUs takes the threads that become ready, so a CPU that sleeps while one waits does so for
/// ever.
template <class Atomics>
struct IdleCpus {
    IdleSet<Atomics> idle;
    alignas(64) std::uint32_t ready = 0;

    static IdleCpus* in(World& world) {
        auto* const cpus = place<IdleCpus>(world, "idle CPUs");
        world.name(&cpus->ready, "ready threads");
        return cpus;
    }
    bool any_ready() const { return ModelAtomics::load_seq_cst(ready) != 0; }
    /// A thread, if there is one.
    bool take() {
        std::uint32_t seen = ModelAtomics::load_seq_cst(ready);
        return seen != 0 && ModelAtomics::compare_exchange(ready, seen, seen - 1);
    }
};

/// One CPU, one thread; its queue's length is published by a store without a locked operation behind it.
template <class Atomics>
Scenario one_idle_cpu() {
    return [](World& world) {
        auto* const cpus = IdleCpus<Atomics>::in(world);
        bool& interrupt = world.event();
        world.thread("cpu", [=, &interrupt] {
            while (!cpus->take())
                cpus->idle.sleep_unless(
                    0, [=] { return cpus->any_ready(); }, [&] { model::sleep_on(interrupt); });
        });
        world.thread("waker", [=, &interrupt] {
            Atomics::store_seq_cst(cpus->ready, 1U);
            cpus->idle.wake_any([&](unsigned) { model::notify(interrupt); });
        });
    };
}

/// Two wakers with a thread each; one CPU takes both, so it must be awake for the second one too.
template <class Atomics>
Scenario two_wakers() {
    return [](World& world) {
        auto* const cpus = IdleCpus<Atomics>::in(world);
        bool& interrupt = world.event();
        world.thread("cpu", [=, &interrupt] {
            for (int taken = 0; taken < 2;) {
                if (cpus->take())
                    ++taken;
                else
                    cpus->idle.sleep_unless(
                        0, [=] { return cpus->any_ready(); }, [&] { model::sleep_on(interrupt); });
            }
        });
        for (const char* name : {"waker 1", "waker 2"})
            world.thread(name, [=, &interrupt] {
                ModelAtomics::fetch_add(cpus->ready, 1U);
                cpus->idle.wake_any([&](unsigned) { model::notify(interrupt); });
            });
    };
}

/// Two CPUs and one thread: whoever is claimed comes in time, though the other may have taken it already.
template <class Atomics>
Scenario two_idle_cpus() {
    return [](World& world) {
        auto* const cpus = IdleCpus<Atomics>::in(world);
        std::array<bool*, 2> interrupts = {&world.event(), &world.event()};
        for (unsigned cpu = 0; cpu < 2; ++cpu)
            world.thread(cpu == 0 ? "cpu 0" : "cpu 1", [=] {
                bool woken = false;
                while (true) {
                    if (cpus->take()) return model::notify(*interrupts[1 - cpu]);
                    if (woken) return;
                    cpus->idle.sleep_unless(
                        cpu, [=] { return cpus->any_ready(); },
                        [&] {
                            model::sleep_on(*interrupts[cpu]);
                            woken = true;
                        });
                }
            });
        world.thread("waker", [=] {
            ModelAtomics::fetch_add(cpus->ready, 1U);
            cpus->idle.wake_any([&](unsigned cpu) { model::notify(*interrupts[cpu]); });
        });
        world.finally([=] { check(!cpus->any_ready(), "a thread waits, and all CPUs went to sleep"); });
    };
}

TEST(WakeModel, NoWakeUpIsLost) {
    expect_correct(one_sleeper_two_wakers<ModelAtomics>());
}

TEST(WakeModel, NoCpuSleepsWhileAThreadWaits) {
    expect_correct(one_idle_cpu<ModelAtomics>());
}

TEST(WakeModel, NoCpuSleepsWhileASecondThreadWaits) {
    expect_correct(two_wakers<ModelAtomics>());
}

TEST(WakeModel, NoneOfTwoCpusSleepsWhileAThreadWaits) {
    expect_correct(two_idle_cpus<ModelAtomics>());
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
/// A waker that finds the token there leaves the word as it is, so what it did before may become visible
/// late.
struct EqualIsNotWritten : ModelAtomics {
    template <class Word>
    static bool compare_exchange(Word& word, Word& expected, std::type_identity_t<Word> desired) {
        if (expected != desired) return ModelAtomics::compare_exchange(word, expected, desired);
        const Word found = ModelAtomics::load_relaxed(word);
        return std::exchange(expected, found) == found;
    }
};
TEST(BrokenWake, AWakerThatFindsATokenAndDoesNotWrite) {
    expect_found(one_sleeper_two_wakers<EqualIsNotWritten>());
}
/// On x86 the bit then becomes visible after the queues have been looked at.
TEST(BrokenWake, IdleBitByAPlainStore) {
    expect_found(one_idle_cpu<InTwoSteps>());
}

/// A queue's length that may become visible only after idle CPUs have been looked for.
struct StoresLate : ModelAtomics {
    template <class Word>
    static void store_seq_cst(Word& word, std::type_identity_t<Word> value) {
        ModelAtomics::store_release(word, value);
    }
};
TEST(BrokenWake, LengthPublishedLate) {
    expect_found(one_idle_cpu<StoresLate>());
}

}  // namespace
}  // namespace exo::guest
