// What a thread must not do ends the kernel, with a reason.
#include <gtest/gtest.h>

#include <vector>

#include "guest/arch/spin_lock.h"
#include "guest/kernel/console.h"
#include "guest/sched/mutex.h"
#include "tests/unit/sched/run_threads.h"

namespace exo::guest::test {
namespace {

/// What the kernel prints on its way out, on standard error.
class ErrorConsole final : public Console {
  public:
    void write(std::string_view text) override { fwrite(text.data(), 1, text.size(), stderr); }
    std::optional<char> read() override { return std::nullopt; }
    bool wait_for_input(std::uint64_t) override { return false; }
};

class ThreadMisuse : public testing::Test {
  protected:
    ThreadMisuse() {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
        install_console(&console_);
    }
    ~ThreadMisuse() override { install_console(nullptr); }

  private:
    ErrorConsole console_;
};

TEST_F(ThreadMisuse, LockingAMutexTwice) {
    EXPECT_DEATH(run_threads(1,
                             [](Scheduler&) {
                                 Mutex mutex;
                                 mutex.lock();
                                 [](Mutex& again)
                                     EXO_THREAD_SAFETY(no_thread_safety_analysis) { again.lock(); }(mutex);
                                 mutex.unlock();
                             }),
                 "the thread that has it locks it again");
}

TEST_F(ThreadMisuse, UnlockingAnothersMutex) {
    EXPECT_DEATH(run_threads(1,
                             [](Scheduler& scheduler) {
                                 Mutex mutex;
                                 const Locked guard(mutex);
                                 must_spawn(scheduler, [&]() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
                                     mutex.unlock();
                                 }).join();
                             }),
                 "unlocked by a thread that does not have it");
}

TEST_F(ThreadMisuse, WaitingWithPreemptionOff) {
    EXPECT_DEATH(run_threads(1,
                             [](Scheduler&) {
                                 const PreemptionGuard guard;
                                 this_thread::sleep_for(1'000'000);
                             }),
                 "it waits where it may not be switched away from");
}

TEST_F(ThreadMisuse, OverflowingAStack) {
    struct Recursion {
        [[gnu::noinline]] static int down(int depth) {
            volatile char frame[512];
            frame[0] = static_cast<char>(depth);
            return depth < 1'000'000 ? down(depth + 1) + frame[0] : 0;
        }
    };
    EXPECT_DEATH(
        run_threads(1,
                    [](Scheduler& scheduler) { must_spawn(scheduler, [] { Recursion::down(0); }).join(); }),
        "");
}

#if EXO_LOCK_CHECKS
TEST_F(ThreadMisuse, MutexesInBothOrders) {
    EXPECT_DEATH(run_threads(1,
                             [](Scheduler&) {
                                 Mutex a;
                                 Mutex b;
                                 Mutex c;
                                 {
                                     const Locked first(a);
                                     const Locked second(b);
                                 }
                                 {
                                     const Locked first(b);
                                     const Locked second(c);
                                 }
                                 const Locked first(c);
                                 const Locked second(a);
                             }),
                 "are taken in both orders");
}
#endif

/// Not a misuse: the answer is an error.
TEST(ThreadExhaustion, IsAnError) {
    run_threads(2, [](Scheduler& scheduler) {
        const auto giant = scheduler.spawn({.stack_size = std::size_t{1} << 50}, [] {});
        ASSERT_FALSE(giant);
        EXPECT_FALSE(giant.error().why.empty());
        EXPECT_EQ(must_spawn(scheduler, [] { return 5; }).join(), 5);
    });
}

}  // namespace
}  // namespace exo::guest::test
