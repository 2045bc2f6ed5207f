#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <deque>
#include <vector>

#include "guest/arch/hosted/hosted.h"
#include "guest/drivers/time_source.h"
#include "guest/sched/condition.h"
#include "guest/sched/event.h"
#include "guest/sched/mutex.h"
#include "guest/sched/semaphore.h"
#include "tests/unit/sched/run_threads.h"

namespace exo::guest::test {
namespace {

std::uint64_t in_ms(std::uint64_t ms) {
    return arch::now_ns() + ms * ns_per_ms;
}

struct Setup {
    unsigned cpus;
    PolicyKind policy;
};

class SyncTest : public testing::TestWithParam<Setup> {
  protected:
    static void run(const std::function<void(Scheduler&)>& body) {
        run_threads(GetParam().cpus, body, GetParam().policy);
    }
};
INSTANTIATE_TEST_SUITE_P(Cpus, SyncTest,
                         testing::Values(Setup{1, PolicyKind::predictive}, Setup{2, PolicyKind::predictive},
                                         Setup{4, PolicyKind::predictive}, Setup{2, PolicyKind::round_robin}),
                         [](const auto& of) {
                             return std::to_string(of.param.cpus) +
                                    (of.param.policy == PolicyKind::predictive ? "Predictive" : "RoundRobin");
                         });

TEST_P(SyncTest, MutexExcludes) {
    run([](Scheduler& scheduler) {
        Mutex mutex;
        std::uint64_t plain = 0;
        std::vector<ThreadHandle> threads;
        for (int t = 0; t < 6; ++t)
            threads.push_back(must_spawn(scheduler, [&] {
                for (int i = 0; i < 500; ++i) {
                    const Locked guard(mutex);
                    const std::uint64_t seen = plain;
                    if (i % 16 == 0) this_thread::yield();
                    plain = seen + 1;
                }
            }));
        threads.clear();
        EXPECT_EQ(plain, 3'000u);
    });
}

TEST_P(SyncTest, MutexTimesOutAndLeavesNoTrace) {
    run([](Scheduler& scheduler) {
        Mutex mutex;
        mutex.lock();
        must_spawn(scheduler, [&mutex] {
            const std::uint64_t deadline = in_ms(2);
            if (mutex.lock_until(deadline)) return mutex.unlock(), void(ADD_FAILURE());
            EXPECT_GE(arch::now_ns(), deadline);
            if (mutex.try_lock()) return mutex.unlock(), void(ADD_FAILURE());
        }).join();
        mutex.unlock();
        must_spawn(scheduler, [&mutex] {
            if (!mutex.lock_until(in_ms(60'000))) return void(ADD_FAILURE());
            EXPECT_TRUE(mutex.is_mine());
            mutex.unlock();
        }).join();
    });
}

/// A thread that gives the mutex back only to take it again at once does not keep another one out.
TEST_P(SyncTest, MutexIsFair) {
    run([](Scheduler& scheduler) {
        Mutex mutex;
        std::atomic<bool> stop = false;
        ThreadHandle greedy = must_spawn(scheduler, [&] {
            while (!stop) {
                const Locked guard(mutex);
                this_thread::sleep_for(200 * ns_per_us);
            }
        });
        for (int i = 0; i < 20; ++i) {
            if (!mutex.lock_until(in_ms(20'000))) {
                ADD_FAILURE() << "kept out for 20 s";
                break;
            }
            mutex.unlock();
        }
        stop = true;
    });
}

TEST_P(SyncTest, ConditionHandsOver) {
    run([](Scheduler& scheduler) {
        constexpr int items = 2'000;
        Mutex mutex;
        Condition not_empty;
        Condition not_full;
        std::deque<int> queue;
        std::vector<ThreadHandle> consumers;
        std::atomic<long> sum = 0;
        for (int c = 0; c < 3; ++c)
            consumers.push_back(must_spawn(scheduler, [&] {
                while (true) {
                    const Locked guard(mutex);
                    while (queue.empty()) not_empty.wait(mutex);
                    const int item = queue.front();
                    queue.pop_front();
                    not_full.notify_one();
                    if (item < 0) return;
                    sum += item;
                }
            }));
        for (int i = 0; i < items + 3; ++i) {
            const Locked guard(mutex);
            while (queue.size() == 4) not_full.wait(mutex);
            queue.push_back(i < items ? i : -1);
            not_empty.notify_one();
        }
        consumers.clear();
        EXPECT_EQ(sum, long{items} * (items - 1) / 2);
    });
}

TEST_P(SyncTest, ConditionTimesOutWithTheMutexTaken) {
    run([](Scheduler&) {
        Mutex mutex;
        Condition never;
        const Locked guard(mutex);
        const std::uint64_t deadline = in_ms(2);
        EXPECT_FALSE(never.wait(mutex, deadline));
        EXPECT_GE(arch::now_ns(), deadline);
        EXPECT_TRUE(mutex.is_mine());
    });
}

TEST_P(SyncTest, NotifyAllWakesAll) {
    run([](Scheduler& scheduler) {
        Mutex mutex;
        Condition condition;
        bool go = false;
        std::atomic<int> waiting = 0;
        std::vector<ThreadHandle> threads;
        for (int i = 0; i < 20; ++i)
            threads.push_back(must_spawn(scheduler, [&] {
                const Locked guard(mutex);
                ++waiting;
                while (!go) condition.wait(mutex);
            }));
        while (waiting < 20) this_thread::yield();
        {
            const Locked guard(mutex);
            go = true;
        }
        condition.notify_all();
    });
}

TEST_P(SyncTest, SemaphoreCounts) {
    run([](Scheduler& scheduler) {
        Semaphore semaphore(3);
        std::atomic<int> inside = 0;
        std::atomic<int> most = 0;
        std::vector<ThreadHandle> threads;
        for (int t = 0; t < 8; ++t)
            threads.push_back(must_spawn(scheduler, [&] {
                for (int i = 0; i < 100; ++i) {
                    semaphore.acquire();
                    const int now = ++inside;
                    int seen = most;
                    while (now > seen && !most.compare_exchange_weak(seen, now)) {
                    }
                    this_thread::yield();
                    --inside;
                    semaphore.release();
                }
            }));
        threads.clear();
        EXPECT_LE(most, 3);
        EXPECT_EQ(semaphore.units(), 3u);
    });
}

TEST_P(SyncTest, SemaphoreIsFirstComeFirstServed) {
    run([](Scheduler& scheduler) {
        Semaphore semaphore(0);
        Mutex mutex;
        std::vector<int> order;
        std::vector<ThreadHandle> threads;
        std::atomic<int> arrived = 0;
        for (int t = 0; t < 5; ++t) {
            threads.push_back(must_spawn(scheduler, [&, t] {
                ++arrived;
                semaphore.acquire();
                const Locked guard(mutex);
                order.push_back(t);
                semaphore.release();
            }));
            while (arrived <= t) this_thread::yield();
            this_thread::sleep_for(3 * ns_per_ms);
        }
        semaphore.release();
        threads.clear();
        EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
    });
}

/// A unit that is given at the very moment of the deadline is either taken or still there.
TEST_P(SyncTest, TimeoutsRaceWithWakeUps) {
    run([](Scheduler& scheduler) {
        constexpr int rounds = 400;
        Semaphore semaphore(0);
        std::atomic<int> taken = 0;
        std::vector<ThreadHandle> threads;
        for (int t = 0; t < 3; ++t)
            threads.push_back(must_spawn(scheduler, [&, t] {
                for (int i = 0; i < rounds; ++i) {
                    const std::uint64_t deadline =
                        arch::now_ns() + static_cast<unsigned>((i * 7 + t) % 90) * 1'000;
                    if (semaphore.acquire(deadline))
                        ++taken;
                    else
                        EXPECT_GE(arch::now_ns(), deadline);
                }
            }));
        for (int i = 0; i < rounds; ++i) {
            semaphore.release();
            if (i % 3 == 0) this_thread::sleep_for(50 * ns_per_us);
        }
        threads.clear();
        EXPECT_EQ(static_cast<int>(semaphore.units()) + taken, rounds);
    });
}

TEST_P(SyncTest, EventStaysSet) {
    run([](Scheduler& scheduler) {
        Event event;
        EXPECT_FALSE(event.wait(in_ms(1)));
        ThreadHandle waiter = must_spawn(scheduler, [&event] { EXPECT_TRUE(event.wait(in_ms(60'000))); });
        event.set();
        EXPECT_TRUE(event.wait());
        EXPECT_TRUE(event.wait(0));
        waiter.join();
        event.reset();
        EXPECT_FALSE(event.is_set());
    });
}

/// Two threads that wake each other, over and over: one lost wake-up and it ends no more.
TEST_P(SyncTest, PingPong) {
    run([](Scheduler& scheduler) {
        constexpr int rounds = 3'000;
        Semaphore ping(0);
        Semaphore pong(0);
        ThreadHandle other = must_spawn(scheduler, [&] {
            for (int i = 0; i < rounds; ++i) {
                ping.acquire();
                pong.release();
            }
        });
        for (int i = 0; i < rounds; ++i) {
            ping.release();
            pong.acquire();
        }
    });
}

TEST_P(SyncTest, InterruptsWakeThreads) {
    run([](Scheduler&) {
        Semaphore arrived(0);
        std::thread device([&arrived] {
            for (int i = 0; i < 200; ++i)
                arch::hosted::deliver_interrupt(
                    [](void* semaphore) { static_cast<Semaphore*>(semaphore)->release(); }, &arrived);
        });
        for (int i = 0; i < 200; ++i) EXPECT_TRUE(arrived.acquire(in_ms(60'000)));
        device.join();
    });
}

/// Whatever is ready runs while a CPU is free: with a hog on every CPU but one, short work is always done.
TEST_P(SyncTest, NoCpuIdlesWhileWorkWaits) {
    run([](Scheduler& scheduler) {
        std::atomic<bool> stop = false;
        std::vector<ThreadHandle> hogs;
        for (unsigned i = 1; i < scheduler.cpu_count(); ++i)
            hogs.push_back(must_spawn(scheduler, [&stop] {
                while (!stop) std::this_thread::yield();  // of the host: no point of pre-emption
            }));
        for (int i = 0; i < 200; ++i) {
            std::atomic<int> done = 0;
            std::array<ThreadHandle, 3> threads;
            for (ThreadHandle& thread : threads) thread = must_spawn(scheduler, [&done] { ++done; });
            for (ThreadHandle& thread : threads) thread.join();
            EXPECT_EQ(done, 3);
        }
        stop = true;
    });
}

/// Everything at once.
TEST_P(SyncTest, Stress) {
    run([](Scheduler& scheduler) {
        Mutex mutex;
        Condition condition;
        Semaphore semaphore(2);
        std::uint64_t guarded = 0;
        std::atomic<std::uint64_t> done = 0;
        std::vector<ThreadHandle> threads;
        for (unsigned t = 0; t < 12; ++t)
            threads.push_back(must_spawn(scheduler, [&, t] {
                for (unsigned i = 0; i < 150; ++i) {
                    switch ((i + t) % 6) {
                        case 0:
                            this_thread::yield();
                            break;
                        case 1:
                            this_thread::sleep_for((i % 5) * 20 * ns_per_us);
                            break;
                        case 2: {
                            const Locked guard(mutex);
                            ++guarded;
                            condition.notify_one();
                            break;
                        }
                        case 3: {
                            const Locked guard(mutex);
                            condition.wait(mutex, arch::now_ns() + 50 * ns_per_us);
                            ++guarded;
                            break;
                        }
                        case 4:
                            semaphore.acquire();
                            this_thread::yield();
                            semaphore.release();
                            break;
                        case 5:
                            must_spawn(scheduler, [&done] { ++done; }, {.stack_size = 64 << 10}).join();
                            break;
                    }
                }
            }));
        threads.clear();
        EXPECT_EQ(guarded, 12u * 150 / 3);
        EXPECT_EQ(done, 12u * 150 / 6);
        EXPECT_EQ(semaphore.units(), 2u);
    });
}

}  // namespace
}  // namespace exo::guest::test
