#include "guest/sched/policy/predictive_queue.h"

#include <gtest/gtest.h>

#include <array>

namespace exo::guest {
namespace {

class PredictiveQueueTest : public testing::Test {
  protected:
    /// Lets a thread burst so often that its prediction is this long.
    void teach(ScheduledThread& thread, Nanoseconds burst) {
        for (int i = 0; i < 80; ++i) run_once(thread, burst);
    }
    void run_once(ScheduledThread& thread, Nanoseconds burst) {
        queue_.enqueue(thread, Arrival::woken, now_);
        ASSERT_EQ(queue_.pick_next(now_), &thread);
        now_ += burst;
        queue_.block(thread, now_);
    }
    /// The same while another thread runs here.
    void teach_beside(ScheduledThread& thread, Nanoseconds burst) {
        thread.prediction = Prediction(burst);
        thread.thread_class = class_of(burst);
    }
    void run_a_for(Nanoseconds time) {
        now_ += time;
        queue_.account(a_, now_);
    }
    void wake(ScheduledThread& thread) { queue_.enqueue(thread, Arrival::woken, now_); }
    ScheduledThread* pick() { return queue_.pick_next(now_); }

    PredictiveQueue queue_{0};
    Nanoseconds now_ = milliseconds(1);
    ScheduledThread a_, b_, c_;
};

TEST_F(PredictiveQueueTest, ClassFollowsTheMovingAverageOfBursts) {
    teach(a_, milliseconds(3));
    EXPECT_EQ(a_.thread_class, ThreadClass::hot);
    teach(a_, milliseconds(30));
    EXPECT_EQ(a_.thread_class, ThreadClass::normal);
    teach(a_, milliseconds(300));
    EXPECT_EQ(a_.thread_class, ThreadClass::cold);
    teach(a_, milliseconds(3));
    EXPECT_EQ(a_.thread_class, ThreadClass::hot);
    EXPECT_GE(queue_.statistics().reclassifications, 4U);
}

TEST_F(PredictiveQueueTest, HotGoesBeforeNormalBeforeCold) {
    teach(a_, milliseconds(300));
    teach(b_, milliseconds(30));
    teach(c_, milliseconds(3));
    for (ScheduledThread* thread : {&a_, &b_, &c_}) wake(*thread);
    for (ScheduledThread* thread : {&c_, &b_, &a_}) EXPECT_EQ(pick(), thread);
    EXPECT_EQ(pick(), nullptr);
}

TEST_F(PredictiveQueueTest, AHintCountsBurstsForAQuarterOrFourTimes) {
    ScheduledThread high(PriorityHint::high);
    ScheduledThread low(PriorityHint::low);
    teach(high, milliseconds(30));
    teach(low, milliseconds(3));
    EXPECT_EQ(high.thread_class, ThreadClass::hot);
    EXPECT_EQ(low.thread_class, ThreadClass::normal);
    teach(high, Prediction::longest_burst);
    EXPECT_EQ(high.thread_class, ThreadClass::cold);
}

TEST_F(PredictiveQueueTest, WithinAClassTheShorterGoesFirst) {
    teach(a_, milliseconds(8));
    teach(b_, milliseconds(4));
    teach(c_, milliseconds(2));
    for (ScheduledThread* thread : {&a_, &b_, &c_}) wake(*thread);
    for (ScheduledThread* thread : {&c_, &b_, &a_}) EXPECT_EQ(pick(), thread);
}

TEST_F(PredictiveQueueTest, WhoHasWaitedGoesBeforeTheShorterButNotBeforeTheFarShorter) {
    teach(a_, milliseconds(8));
    teach(b_, milliseconds(3));
    teach(c_, microseconds(500));
    wake(a_);
    now_ += milliseconds(15);
    wake(b_);
    wake(c_);
    for (ScheduledThread* thread : {&c_, &a_, &b_}) EXPECT_EQ(pick(), thread);
}

TEST_F(PredictiveQueueTest, EqualsTakeTurns) {
    for (ScheduledThread* thread : {&b_, &a_, &c_}) wake(*thread);
    for (ScheduledThread* thread : {&b_, &a_, &c_}) EXPECT_EQ(pick(), thread);
}

TEST_F(PredictiveQueueTest, AHogThatNeverBlocksBecomesCold) {
    wake(a_);
    ASSERT_EQ(pick(), &a_);
    for (const auto& [ran, thread_class] :
         {std::pair{milliseconds(9), ThreadClass::hot}, std::pair{milliseconds(10), ThreadClass::normal},
          std::pair{milliseconds(99), ThreadClass::normal},
          std::pair{milliseconds(100), ThreadClass::cold}}) {
        queue_.account(a_, now_ + ran);
        EXPECT_EQ(a_.thread_class, thread_class) << "after " << ran;
    }
}

TEST_F(PredictiveQueueTest, ABurstIsAccumulatedOverPreemptions) {
    wake(a_);
    for (int i = 0; i < 5; ++i) {
        ASSERT_EQ(pick(), &a_);
        now_ += milliseconds(4);
        queue_.account(a_, now_);
        queue_.enqueue(a_, Arrival::preempted, now_);
        now_ += milliseconds(1);
    }
    EXPECT_EQ(a_.burst, milliseconds(20));
    EXPECT_EQ(a_.thread_class, ThreadClass::normal);
    ASSERT_EQ(pick(), &a_);
    queue_.block(a_, now_);
    EXPECT_EQ(a_.prediction.burst(), milliseconds(5) + milliseconds(15) / 4);
}

TEST_F(PredictiveQueueTest, PreemptsForAHotterOrAShorterButNotForAnEqual) {
    teach(a_, milliseconds(6));
    wake(a_);
    ASSERT_EQ(pick(), &a_);
    run_a_for(PredictiveQueue::least_turn);

    teach_beside(b_, milliseconds(6));
    queue_.enqueue(b_, Arrival::woken, now_);
    EXPECT_FALSE(queue_.should_preempt(a_, b_, now_));
    queue_.dequeue(b_);

    teach_beside(b_, milliseconds(6) - microseconds(20));
    queue_.enqueue(b_, Arrival::woken, now_);
    EXPECT_FALSE(queue_.should_preempt(a_, b_, now_)) << "what it would gain is less than a switch costs";
    queue_.dequeue(b_);

    teach_beside(b_, milliseconds(2));
    queue_.enqueue(b_, Arrival::woken, now_);
    EXPECT_TRUE(queue_.should_preempt(a_, b_, now_));
    EXPECT_TRUE(queue_.should_give_way(a_, now_));
    EXPECT_EQ(queue_.statistics().preemptions, 1U);
}

TEST_F(PredictiveQueueTest, ColdDoesNotPreemptColdAndHotDoes) {
    teach(a_, milliseconds(500));
    wake(a_);
    ASSERT_EQ(pick(), &a_);
    run_a_for(PredictiveQueue::least_turn);
    teach_beside(b_, milliseconds(120));
    queue_.enqueue(b_, Arrival::woken, now_);
    EXPECT_FALSE(queue_.should_preempt(a_, b_, now_));
    queue_.enqueue(c_, Arrival::woken, now_);
    EXPECT_TRUE(queue_.should_preempt(a_, c_, now_));
}

TEST_F(PredictiveQueueTest, AThreadThatHasJustBegunIsPreemptedOnlyWhenItsLeastTurnIsOver) {
    for (const Nanoseconds shorter :
         {milliseconds(6), milliseconds(90)}) {  // of the same class, of a hotter one
        teach(a_, milliseconds(8) + shorter);
        wake(a_);
        ASSERT_EQ(pick(), &a_);
        const Nanoseconds began = now_;
        run_a_for(PredictiveQueue::least_turn - 1);
        teach_beside(b_, microseconds(10));
        queue_.enqueue(b_, Arrival::woken, now_);
        EXPECT_FALSE(queue_.should_preempt(a_, b_, now_));
        EXPECT_FALSE(queue_.should_give_way(a_, now_));
        EXPECT_EQ(queue_.preempt_at(a_), began + PredictiveQueue::least_turn);
        run_a_for(1);
        EXPECT_TRUE(queue_.should_give_way(a_, now_));
        queue_.block(a_, now_);
        ASSERT_EQ(pick(), &b_);
        queue_.block(b_, now_);
    }
}

/// A sender and a receiver on one CPU, as channels drive them: who has the CPU fills the ring, or empties it.
TEST_F(PredictiveQueueTest, AStreamBetweenTwoThreadsDoesNotSwitchForEachMessage) {
    constexpr Nanoseconds a_message = microseconds(1);
    teach_beside(b_, a_message);
    wake(a_);
    ASSERT_EQ(pick(), &a_);
    unsigned sent = 0;
    for (; sent < 1'000; ++sent) {
        run_a_for(a_message);
        if (b_.queued) {
            if (queue_.should_give_way(a_, now_)) break;
        } else {
            queue_.enqueue(b_, Arrival::woken, now_);
            if (queue_.should_preempt(a_, b_, now_)) break;
        }
    }
    EXPECT_GE(sent, PredictiveQueue::least_turn / a_message - 1);
}

TEST_F(PredictiveQueueTest, AClassThatWasPassedOverGetsAGrantThatNobodyCutsShort) {
    teach(a_, milliseconds(500));
    wake(a_);
    now_ += PredictiveQueue::patience_of(ThreadClass::cold);
    wake(b_);
    ASSERT_EQ(pick(), &a_);
    wake(c_);
    EXPECT_FALSE(queue_.should_preempt(a_, c_, now_));
    EXPECT_EQ(queue_.preempt_at(a_), now_ + PredictiveQueue::grant);
    now_ += PredictiveQueue::grant;
    queue_.account(a_, now_);
    EXPECT_TRUE(queue_.should_give_way(a_, now_));
    EXPECT_EQ(queue_.statistics().aged, 1U);
}

TEST_F(PredictiveQueueTest, WhoHasWaitedTooLongGoesBeforeEvenTheFarShorter) {
    teach(a_, milliseconds(8));
    teach(c_, microseconds(500));
    wake(a_);
    now_ += PredictiveQueue::thread_patience;
    wake(c_);
    EXPECT_EQ(pick(), &a_);
}

TEST_F(PredictiveQueueTest, TellsOthersHowManyColdThreadsWait) {
    teach(a_, milliseconds(300));
    wake(a_);
    wake(b_);
    EXPECT_EQ(queue_.load(nullptr).ready, 2U);
    EXPECT_EQ(queue_.load(nullptr).ready_cold, 1U);
    ASSERT_EQ(pick(), &b_);
    EXPECT_EQ(queue_.load(&b_).ready_cold, 1U);
    EXPECT_EQ(queue_.steal(now_), &a_);
    EXPECT_EQ(queue_.load(&b_).ready_cold, 0U);
}

TEST_F(PredictiveQueueTest, TheTimerIsArmedOnlyWhileSomebodyWaits) {
    wake(a_);
    ASSERT_EQ(pick(), &a_);
    EXPECT_EQ(queue_.preempt_at(a_), never);
    wake(b_);
    EXPECT_EQ(queue_.preempt_at(a_), now_ + PredictiveQueue::slice_of(ThreadClass::hot));
}

TEST_F(PredictiveQueueTest, TheTimerNeverFiresTwiceForNothing) {
    wake(a_);
    ASSERT_EQ(pick(), &a_);
    teach_beside(b_, milliseconds(500));
    queue_.enqueue(b_, Arrival::woken, now_);
    now_ = queue_.preempt_at(a_);
    queue_.account(a_, now_);
    EXPECT_FALSE(queue_.should_give_way(a_, now_));
    EXPECT_GT(queue_.preempt_at(a_), now_);
}

TEST_F(PredictiveQueueTest, AYieldingThreadLetsEverybodyElseGoFirst) {
    teach(a_, milliseconds(300));
    teach(c_, milliseconds(1));
    wake(a_);
    wake(b_);
    wake(c_);
    ASSERT_EQ(pick(), &c_);
    queue_.enqueue(c_, Arrival::yielded, now_);
    for (ScheduledThread* thread : {&b_, &a_, &c_}) EXPECT_EQ(pick(), thread);
}

TEST_F(PredictiveQueueTest, GivesAwayColdThreadsFirst) {
    teach(a_, milliseconds(3));
    teach(b_, milliseconds(300));
    teach(c_, milliseconds(30));
    for (ScheduledThread* thread : {&a_, &b_, &c_}) wake(*thread);
    for (ScheduledThread* thread : {&b_, &c_, &a_}) EXPECT_EQ(queue_.steal(now_), thread);
    EXPECT_EQ(queue_.steal(now_), nullptr);
    EXPECT_EQ(queue_.statistics().stolen, 3U);
    EXPECT_EQ(queue_.ready(), 0U);
}

TEST_F(PredictiveQueueTest, TellsHowGoodItsPredictionsWere) {
    run_once(a_, milliseconds(4));  // predicted: 5
    EXPECT_EQ(queue_.statistics().accuracy(), 800U);
    for (int i = 0; i < 999; ++i) run_once(a_, milliseconds(4));
    EXPECT_GE(queue_.statistics().accuracy(), 999U);
    EXPECT_EQ(queue_.statistics().class_foreseen, 1'000U);
    EXPECT_EQ(queue_.statistics().bursts, 1'000U);

    // In turn 2 and 6 ms: the average is 4 2/7 after a long one and 3 5/7 after a short one.
    const auto before = queue_.statistics();
    for (int i = 0; i < 1'000; ++i) run_once(a_, milliseconds(i % 2 == 0 ? 2 : 6));
    const auto& after = queue_.statistics();
    const double accuracy = static_cast<double>(after.accuracy_sum - before.accuracy_sum) / 1'000;
    EXPECT_NEAR(accuracy, (1000 * 2 / (30.0 / 7) + 1000 * (26.0 / 7) / 6) / 2, 5);
}

TEST_F(PredictiveQueueTest, ExtremeBurstsOverflowNothing) {
    for (const PriorityHint hint : {PriorityHint::high, PriorityHint::normal, PriorityHint::low}) {
        ScheduledThread thread(hint);
        now_ = 0;
        wake(thread);
        ASSERT_EQ(pick(), &thread);
        now_ = Nanoseconds{1} << 63;
        queue_.account(thread, now_);
        EXPECT_EQ(thread.thread_class, ThreadClass::cold);
        queue_.enqueue(thread, Arrival::preempted, now_);
        EXPECT_LT(thread.turn, now_ + milliseconds(10'000));
        EXPECT_GE(thread.turn, now_);
        ASSERT_EQ(pick(), &thread);
        queue_.block(thread, now_ + milliseconds(1));
    }
}

TEST_F(PredictiveQueueTest, RemembersItsLastDecisions) {
    for (std::uint32_t i = 0; i < 100; ++i) {
        a_.id = i;
        run_once(a_, microseconds(100));
    }
    EXPECT_EQ(queue_.trace().size(), DecisionTrace::capacity);
    EXPECT_EQ(queue_.trace().back(0).thread, 99U);
    EXPECT_EQ(queue_.trace().back(DecisionTrace::capacity - 1).thread, 100U - DecisionTrace::capacity);
}

TEST(ReadyQueue, BucketsGrowWithTime) {
    std::uint8_t last = 0;
    for (Nanoseconds time = 1; time < milliseconds(2'000); time += time / 16 + 1) {
        const std::uint8_t bucket = ReadyQueue::bucket_of(time);
        EXPECT_GE(bucket, last);
        EXPECT_LE(bucket, last + 1);
        last = bucket;
    }
    EXPECT_EQ(last, ReadyQueue::last_bucket);
    EXPECT_EQ(ReadyQueue::bucket_of(~Nanoseconds{0}), ReadyQueue::last_bucket);
}

TEST(Affinity, FallsAfterFiftyMillisecondsFromHundredToTen) {
    ScheduledThread thread;
    thread.last_cpu = 1;
    thread.last_ran = milliseconds(100);
    const auto score_after = [&](std::uint64_t away) {
        return affinity_score(thread, 1, milliseconds(100 + away));
    };
    EXPECT_EQ(score_after(0), 100U);
    EXPECT_EQ(score_after(50), 100U);
    EXPECT_EQ(score_after(69), 81U);
    EXPECT_EQ(score_after(70), 80U);
    EXPECT_EQ(score_after(139), 11U);
    EXPECT_EQ(score_after(140), 10U);
    EXPECT_EQ(score_after(1'000'000), 10U);
    EXPECT_EQ(affinity_score(thread, 0, milliseconds(100)), 10U);
}

class CpuChoiceTest : public testing::Test {
  protected:
    static CpuLoad running(ThreadClass thread_class, std::uint16_t ready = 0) {
        return {.ready = ready,
                .ready_cold = 0,
                .running_class = static_cast<std::uint8_t>(thread_class),
                .running_bucket = 0};
    }
    unsigned choose(CpuMask idle) {
        return PredictiveQueue::choose_cpu(thread_, now_, idle, 4, [&](unsigned cpu) { return loads_[cpu]; });
    }

    CpuChoiceTest() {
        thread_.last_cpu = 2;
        thread_.last_ran = now_;
    }

    Nanoseconds now_ = milliseconds(1'000);
    ScheduledThread thread_;
    std::array<CpuLoad, 4> loads_{running(ThreadClass::hot, 1), running(ThreadClass::hot),
                                  running(ThreadClass::hot, 3), running(ThreadClass::hot)};
};

TEST_F(CpuChoiceTest, AnIdleCpuIsChosenTheOneWhereItWasIfPossible) {
    EXPECT_EQ(choose(0b1111), 2U);
    EXPECT_EQ(choose(0b1000), 3U);
}

TEST_F(CpuChoiceTest, WhereNoneIsIdleItStaysWithItsCacheWhileThatIsWarm) {
    EXPECT_EQ(choose(0), 2U);
    thread_.last_ran = now_ - milliseconds(200);
    EXPECT_EQ(choose(0), 1U) << "no cache to care for: where fewest wait";
}

TEST_F(CpuChoiceTest, GoesToTheCpuThatGivesWayAtOnce) {
    loads_[3] = running(ThreadClass::cold, 5);
    EXPECT_EQ(choose(0), 3U);
    loads_[2] = running(ThreadClass::normal, 5);
    EXPECT_EQ(choose(0), 2U);
}

TEST_F(CpuChoiceTest, AnIdleCpuStealsWhereMostColdThreadsWait) {
    const auto load = [&](unsigned cpu) { return loads_[cpu]; };
    EXPECT_EQ(choose_victim(1, 4, load), 2U);
    loads_[3].ready = loads_[3].ready_cold = 1;
    EXPECT_EQ(choose_victim(1, 4, load), 3U);
    loads_ = {};
    EXPECT_EQ(choose_victim(1, 4, load), no_cpu);
}

}  // namespace
}  // namespace exo::guest
