#include "guest/sched/timer_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace exo::guest {
namespace {

TEST(TimerQueue, GivesTheEarliestFirst) {
    TimerQueue queue;
    EXPECT_EQ(queue.next_deadline(), arch::no_deadline);
    std::vector<TimerEntry> entries(200);
    std::mt19937 random(1);
    for (TimerEntry& entry : entries) {
        entry.deadline_ns = random() % 100;
        queue.insert(entry);
    }
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        EXPECT_GE(queue.next_deadline(), last);
        last = queue.next_deadline();
        TimerEntry* const due = queue.take_due(last);
        ASSERT_NE(due, nullptr);
        EXPECT_EQ(due->deadline_ns, last);
        EXPECT_FALSE(due->queued);
    }
    EXPECT_EQ(queue.take_due(arch::no_deadline), nullptr);
}

TEST(TimerQueue, HoldsBackWhatIsNotDue) {
    TimerQueue queue;
    TimerEntry entry;
    entry.deadline_ns = 10;
    queue.insert(entry);
    EXPECT_EQ(queue.take_due(9), nullptr);
    EXPECT_EQ(queue.take_due(10), &entry);
}

/// Against a sorted list, entries leaving from anywhere.
TEST(TimerQueue, AnyEntryMayLeave) {
    TimerQueue queue;
    std::vector<TimerEntry> entries(64);
    std::vector<TimerEntry*> inside;
    std::mt19937 random(2);
    for (int step = 0; step < 20'000; ++step) {
        TimerEntry& entry = entries[random() % entries.size()];
        if (entry.queued) {
            queue.remove(entry);
            std::erase(inside, &entry);
        } else {
            entry.deadline_ns = random() % 1'000;
            queue.insert(entry);
            inside.push_back(&entry);
        }
        std::uint64_t earliest = arch::no_deadline;
        for (const TimerEntry* other : inside) earliest = std::min(earliest, other->deadline_ns);
        ASSERT_EQ(queue.next_deadline(), earliest);
    }
}

}  // namespace
}  // namespace exo::guest
