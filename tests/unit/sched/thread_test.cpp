#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "guest/drivers/time_source.h"
#include "guest/sched/thread_local.h"
#include "tests/unit/sched/run_threads.h"

namespace exo::guest::test {
namespace {

class ThreadTest : public testing::TestWithParam<unsigned> {
  protected:
    static void run(const std::function<void(Scheduler&)>& body) { run_threads(GetParam(), body); }
};
INSTANTIATE_TEST_SUITE_P(Cpus, ThreadTest, testing::Values(1, 2, 4));

TEST_P(ThreadTest, RunsAndGivesItsStatus) {
    run([](Scheduler& scheduler) {
        int seen = 0;
        ThreadHandle thread = must_spawn(scheduler, [&seen] {
            seen = 7;
            return 42;
        });
        EXPECT_EQ(thread.join(), 42);
        EXPECT_EQ(seen, 7);
        EXPECT_FALSE(thread.joinable());
    });
}

TEST_P(ThreadTest, NobodyIsLostWhenThePolicyChanges) {
    run([](Scheduler& scheduler) {
        constexpr std::uint64_t turns = 200;
        std::atomic<std::uint64_t> total = 0;
        std::vector<ThreadHandle> threads;
        for (unsigned i = 0; i < 8; ++i)
            threads.push_back(must_spawn(scheduler, [&total, sleeps = i % 2 == 0] {
                for (std::uint64_t turn = 0; turn < turns; ++turn) {
                    sleeps ? this_thread::sleep_for(10'000) : this_thread::yield();
                    ++total;
                }
            }));
        for (unsigned change = 0; change < 50; ++change) {
            scheduler.use_policy(change % 2 == 0 ? PolicyKind::round_robin : PolicyKind::predictive);
            this_thread::sleep_for(100'000);
        }
        threads.clear();
        EXPECT_EQ(total, 8 * turns);
        EXPECT_EQ(scheduler.policy(), PolicyKind::predictive);
    });
}

TEST_P(ThreadTest, JoinOfAFinishedThread) {
    run([](Scheduler& scheduler) {
        std::atomic<bool> ran = false;
        ThreadHandle thread = must_spawn(scheduler, [&ran] { ran = true; });
        while (!ran) this_thread::yield();
        this_thread::sleep_for(2 * ns_per_ms);
        EXPECT_EQ(thread.join(), 0);
    });
}

TEST_P(ThreadTest, JoinWithADeadline) {
    run([](Scheduler& scheduler) {
        std::atomic<bool> go = false;
        ThreadHandle thread = must_spawn(scheduler, [&go] {
            while (!go) this_thread::yield();
            return 3;
        });
        EXPECT_FALSE(thread.join_until(arch::now_ns() + ns_per_ms));
        EXPECT_TRUE(thread.joinable());
        go = true;
        EXPECT_EQ(thread.join_until(arch::now_ns() + 60 * ns_per_s), 3);
    });
}

TEST_P(ThreadTest, TheEndOfTheHandleJoins) {
    run([](Scheduler& scheduler) {
        int count = 0;
        {
            const ThreadHandle thread = must_spawn(scheduler, [&count] {
                this_thread::sleep_for(ns_per_ms);
                ++count;
            });
        }
        EXPECT_EQ(count, 1);
    });
}

TEST_P(ThreadTest, DetachedThreadsAreReclaimed) {
    run([](Scheduler& scheduler) {
        constexpr unsigned threads = 100;
        std::atomic<unsigned> ended = 0;
        for (unsigned i = 0; i < threads; ++i) must_spawn(scheduler, [&ended] { ++ended; }).detach();
        while (ended < threads) this_thread::yield();
        std::vector<ThreadInfo> infos(threads + 8);
        std::size_t count = 0;
        do {
            scheduler.reclaim();
            count = scheduler.list(infos);
            this_thread::yield();
        } while (count > scheduler.cpu_count() + 1);
        EXPECT_EQ(count, scheduler.cpu_count() + 1);
    });
}

TEST_P(ThreadTest, ManyThreadsComeAndGo) {
    run([](Scheduler& scheduler) {
        std::atomic<unsigned> sum = 0;
        for (unsigned round = 0; round < 20; ++round) {
            std::vector<ThreadHandle> threads;
            for (unsigned i = 0; i < 32; ++i)
                threads.push_back(must_spawn(scheduler, [&sum, i] {
                    sum += i;
                    this_thread::yield();
                    return static_cast<int>(i);
                }));
            for (unsigned i = 0; i < 32; ++i) EXPECT_EQ(threads[i].join(), static_cast<int>(i));
        }
        EXPECT_EQ(sum, 20u * 31 * 32 / 2);
    });
}

TEST_P(ThreadTest, SleepsAtLeastAsLongAsAsked) {
    run([](Scheduler& scheduler) {
        std::vector<ThreadHandle> threads;
        for (std::uint64_t ms = 1; ms <= 8; ++ms)
            threads.push_back(must_spawn(scheduler, [ms] {
                const std::uint64_t until = arch::now_ns() + ms * ns_per_ms;
                this_thread::sleep_until(until);
                EXPECT_GE(arch::now_ns(), until);
            }));
    });
}

/// Sleepers do not wait for each other.
TEST_P(ThreadTest, ManySleepAtTheSameTime) {
    run([](Scheduler& scheduler) {
        const std::uint64_t start = arch::now_ns();
        {
            std::vector<ThreadHandle> threads;
            for (int i = 0; i < 50; ++i)
                threads.push_back(must_spawn(scheduler, [] { this_thread::sleep_for(100 * ns_per_ms); }));
        }
        EXPECT_LT(arch::now_ns() - start, 50 * 100 * ns_per_ms);
    });
}

TEST_P(ThreadTest, YieldLetsOthersRun) {
    run([](Scheduler& scheduler) {
        std::atomic<bool> first = false;
        std::atomic<bool> second = false;
        ThreadHandle a = must_spawn(scheduler, [&] {
            while (!second) this_thread::yield();
            first = true;
        });
        ThreadHandle b = must_spawn(scheduler, [&] {
            second = true;
            while (!first) this_thread::yield();
        });
    });
}

TEST_P(ThreadTest, ABusyThreadIsPreempted) {
    run([](Scheduler& scheduler) {
        std::atomic<bool> stop = false;
        std::vector<ThreadHandle> hogs;
        for (unsigned i = 0; i < scheduler.cpu_count(); ++i)
            hogs.push_back(must_spawn(scheduler, [&stop] {
                while (!stop) arch::pause();  // never gives the CPU away by itself
            }));
        must_spawn(scheduler, [&stop] { stop = true; }).join();
    });
}

TEST_P(ThreadTest, PreemptionCanBeKeptOff) {
    run([](Scheduler& scheduler) {
        std::atomic<unsigned> others = 0;
        std::vector<ThreadHandle> threads;
        {
            const PreemptionGuard guard;
            const unsigned cpu = arch::current_cpu();
            for (int i = 0; i < 8; ++i) threads.push_back(must_spawn(scheduler, [&others] { ++others; }));
            for (int i = 0; i < 20'000; ++i) arch::pause();
            EXPECT_EQ(arch::current_cpu(), cpu);
            if (scheduler.cpu_count() == 1) EXPECT_EQ(others, 0u);
        }
        threads.clear();
        EXPECT_EQ(others, 8u);
    });
}

/// The end of its slice once came again and again, before the next instruction: whoever had pre-emption off
/// then, the console above all, never got on.
TEST_P(ThreadTest, TheEndOfASliceWithPreemptionOffInterruptsOnce) {
    run([](Scheduler& scheduler) {
        std::atomic<bool> stop = false;
        std::vector<ThreadHandle> hogs;
        for (unsigned i = 0; i < 2 * scheduler.cpu_count(); ++i)
            hogs.push_back(must_spawn(scheduler, [&stop] {
                while (!stop) arch::pause();
            }));
        {
            const PreemptionGuard guard;
            const std::uint64_t end = arch::now_ns() + 100 * ns_per_ms;
            while (arch::now_ns() < end) arch::pause();
        }
        stop = true;
    });
}

TEST_P(ThreadTest, EachHasDataOfItsOwn) {
    run([](Scheduler& scheduler) {
        static std::atomic<int> alive = 0;
        struct Own {
            Own() { ++alive; }
            ~Own() { --alive; }
            unsigned value = 0;
        };
        auto own = ThreadLocal<Own>::create(scheduler);
        ASSERT_TRUE(own);
        {
            std::vector<ThreadHandle> threads;
            for (unsigned i = 0; i < 10; ++i)
                threads.push_back(must_spawn(scheduler, [&own, i] {
                    own->get()->value = i;
                    for (int turn = 0; turn < 10; ++turn) this_thread::yield();
                    EXPECT_EQ(own->get()->value, i);
                }));
        }
        EXPECT_EQ(alive, 0);
    });
}

TEST_P(ThreadTest, IsListed) {
    run([](Scheduler& scheduler) {
        std::atomic<bool> stop = false;
        ThreadHandle thread = must_spawn(scheduler,
                                         [&stop] {
                                             while (!stop) this_thread::sleep_for(ns_per_ms);
                                         },
                                         {.name = "a name that is much too long for the list"});
        std::array<ThreadInfo, 16> infos;
        const std::size_t count = scheduler.list(infos);
        ASSERT_EQ(count, scheduler.cpu_count() + 2);
        EXPECT_STREQ(infos[0].name.data(), "idle/0");
        EXPECT_TRUE(infos[0].is_idle);
        const ThreadInfo& self = infos[scheduler.cpu_count()];
        EXPECT_STREQ(self.name.data(), "main");
        EXPECT_EQ(self.state, ThreadInfo::State::running);
        EXPECT_GT(self.stack_used, 500u);
        EXPECT_LT(self.stack_used, self.stack_size);
        EXPECT_STREQ(infos[count - 1].name.data(), "a name that is much too");
        stop = true;
    });
}

TEST_P(ThreadTest, StackUseIsTheMostEver) {
    run([](Scheduler& scheduler) {
        std::atomic<bool> stop = false;
        ThreadHandle thread = must_spawn(scheduler, [&stop] {
            [] {
                std::array<char, 64 << 10> deep;
                asm volatile("movb $1, (%0)" : : "r"(deep.data()) : "memory");
            }();
            while (!stop) this_thread::yield();
        });
        while (thread.thread().stack().high_water() < 64 << 10) this_thread::yield();
        EXPECT_LT(thread.thread().stack().high_water(), std::size_t{100} << 10);
        stop = true;
    });
}

}  // namespace
}  // namespace exo::guest::test
