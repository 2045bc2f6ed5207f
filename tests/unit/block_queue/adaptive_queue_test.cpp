#include "guest/drivers/block/adaptive_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "guest/drivers/block/block_io.h"
#include "tests/unit/block_queue/thread_disk.h"

namespace exo::guest::test {
namespace {

constexpr std::array<std::optional<IoMode>, 5> every_mode = {std::nullopt, IoMode::interrupt, IoMode::polling,
                                                             IoMode::hybrid, IoMode::batch};

void submit(AdaptiveQueue& queue, BlockRequest& request) {
    BlockRequest* const one[] = {&request};
    queue.submit(one);
}

/// Reads and writes its own sectors, several at once, and compares with what they must hold.
void work(BlockDevice& disk, unsigned number, unsigned operations, std::atomic<unsigned>& wrong) {
    constexpr unsigned depth = 4;
    constexpr unsigned blocks = 64;
    std::mt19937 random(number);
    std::vector<std::byte> shadow(blocks);
    for (unsigned done = 0; done < operations;) {
        std::deque<Piece> pieces;
        std::vector<BlockRequest*> requests;
        std::vector<bool> used(blocks);
        for (unsigned i = 0; i < 1 + random() % depth; ++i, ++done) {
            const unsigned block = random() % blocks;
            if (used[block]) continue;
            used[block] = true;
            const bool write = random() % 2 == 0;
            if (write) shadow[block] = static_cast<std::byte>(1 + random() % 255);
            pieces.emplace_back(write ? BlockOperation::write : BlockOperation::read, number * blocks + block,
                                write ? shadow[block] : std::byte{0xee});
            pieces.back().request.urgency = static_cast<BlockUrgency>(random() % 3);
            requests.push_back(&pieces.back().request);
        }
        AdaptiveQueue& queue = disk.queue_here();
        queue.submit(requests);
        if (random() % 2 == 0) queue.wait_any(requests);
        for (BlockRequest* const request : requests) wrong += queue.wait(*request) == BlockStatus::ok ? 0 : 1;
        for (const Piece& piece : pieces)
            wrong += piece.memory == std::vector(sector_size, shadow[piece.request.sector % blocks]) ? 0 : 1;
    }
}

struct Machine {
    unsigned cpus;
    unsigned queues;
};
class ThreadsOnQueues : public testing::TestWithParam<Machine> {};

TEST_P(ThreadsOnQueues, DataIsTrueWhileModesChangeUnderLoad) {
    run_threads(GetParam().cpus, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, GetParam().queues);
        std::atomic<unsigned> wrong = 0;
        std::atomic<bool> over = false;
        {
            ThreadHandle changer = must_spawn(scheduler, [&] {
                for (unsigned i = 0; !over; ++i) {
                    EXPECT_TRUE(disk.set_mode(every_mode[i % every_mode.size()]));
                    this_thread::sleep_for(200 * ns_per_us);
                }
            });
            {
                std::vector<ThreadHandle> workers;
                for (unsigned i = 0; i < 6; ++i)
                    workers.push_back(must_spawn(scheduler, [&, i] { work(disk, i, 1'500, wrong); }));
            }
            over = true;
        }
        EXPECT_EQ(wrong, 0u);
        for (unsigned i = 0; i < disk.queue_count(); ++i) {
            const AdaptiveQueue::Report report = disk.adaptive_queue(i).report();
            EXPECT_EQ(report.counters.submitted, report.counters.completed);
            EXPECT_EQ(report.counters.failed, 0u);
        }
    });
}

INSTANTIATE_TEST_SUITE_P(Machines, ThreadsOnQueues,
                         testing::Values(Machine{1, 1}, Machine{3, 1}, Machine{3, 3}, Machine{4, 2}));

TEST(AdaptiveQueue, EachModeCountsItsOwn) {
    run_threads(2, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1);
        for (unsigned number = 0; number < io_mode_count; ++number) {
            const auto mode = static_cast<IoMode>(number);
            ASSERT_TRUE(disk.set_mode(mode));
            EXPECT_EQ(disk.queue(0).announced.mode, mode) << "the device is told";
            Piece piece(BlockOperation::read, number);
            for (int i = 0; i < 50; ++i) ASSERT_EQ(run(disk, piece.request), BlockStatus::ok);
            const AdaptiveQueue::Report report = disk.adaptive_queue(0).report();
            EXPECT_EQ(report.modes[number].operations, 50u) << describe(mode);
            EXPECT_EQ(report.plan.mode, mode);
            if (mode == IoMode::polling) {
                EXPECT_EQ(report.modes[number].sleeps + report.modes[number].interrupts, 0u);
            }
        }
    });
}

TEST(AdaptiveQueue, BatchGathersAndJoinsNeighboursUntilSomebodyWaits) {
    run_threads(1, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1);
        AdaptiveQueue& queue = disk.adaptive_queue(0);
        ASSERT_TRUE(disk.set_mode(IoMode::batch));
        std::deque<Piece> pieces;
        for (const unsigned i : {3u, 1u, 0u, 2u, 7u, 5u, 4u, 6u}) {
            pieces.emplace_back(BlockOperation::write, 100 + i, static_cast<std::byte>(i + 1));
            submit(queue, pieces.back().request);
        }
        EXPECT_EQ(disk.queue(0).counters().submitted, 0u);
        for (Piece& piece : pieces) EXPECT_EQ(queue.wait(piece.request), BlockStatus::ok);
        EXPECT_EQ(disk.queue(0).counters().submitted, 1u) << "eight neighbours are one request";
        EXPECT_LE(disk.queue(0).counters().doorbells, 1u);
        for (unsigned i = 0; i < 8; ++i)
            EXPECT_EQ(disk.content[(100 + i) * sector_size], static_cast<std::byte>(i + 1));
    });
}

TEST(AdaptiveQueue, BatchHoldsBackNeitherTheUrgentNorMoreThanItHasRoomFor) {
    run_threads(1, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1);
        AdaptiveQueue& queue = disk.adaptive_queue(0);
        ASSERT_TRUE(disk.set_mode(IoMode::batch));
        Piece urgent(BlockOperation::read, 3);
        urgent.request.urgency = BlockUrgency::urgent;
        submit(queue, urgent.request);
        EXPECT_EQ(disk.queue(0).counters().submitted, 1u);
        EXPECT_EQ(queue.wait(urgent.request), BlockStatus::ok);
        std::deque<Piece> pieces;
        std::vector<BlockRequest*> requests;
        for (unsigned i = 0; i < 100; ++i) {
            pieces.emplace_back(BlockOperation::read, 2 * i);
            requests.push_back(&pieces.back().request);
        }
        queue.submit(requests);
        for (BlockRequest* const request : requests) EXPECT_EQ(queue.wait(*request), BlockStatus::ok);
        EXPECT_EQ(disk.queue(0).counters().completed, 101u);
    });
}

TEST(AdaptiveQueue, AnErrorInAJoinedRequestHitsOnlyWhomItBelongsTo) {
    run_threads(2, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1);
        AdaptiveQueue& queue = disk.adaptive_queue(0);
        disk.queue(0).fail = [](const BlockRequest& request) {
            const bool hit = request.sector <= 12 && 12 < request.sector + request.bytes() / sector_size;
            return hit ? BlockStatus::medium_error : BlockStatus::ok;
        };
        ASSERT_TRUE(disk.set_mode(IoMode::batch));
        std::deque<Piece> pieces;
        for (unsigned i = 0; i < 5; ++i) {
            pieces.emplace_back(BlockOperation::read, 10 + i);
            submit(queue, pieces.back().request);
        }
        for (unsigned i = 0; i < 5; ++i)
            EXPECT_EQ(queue.wait(pieces[i].request), i == 2 ? BlockStatus::medium_error : BlockStatus::ok)
                << i;
    });
}

TEST(AdaptiveQueue, ARequestThatIsRefusedEndsAtOnceInEveryMode) {
    run_threads(1, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1);
        for (const auto mode : every_mode) {
            ASSERT_TRUE(disk.set_mode(mode));
            Piece piece(BlockOperation::read, 1 << 20);
            disk.queue(0).fail = [&](const BlockRequest& request) {
                return check_request(disk.info(), request);
            };
            EXPECT_EQ(run(disk, piece.request), BlockStatus::out_of_range);
        }
    });
}

TEST(AdaptiveQueue, ASilentDeviceIsRecoveredForAllWhoWait) {
    run_threads(2, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1);
        disk.set_timeout_ns(50 * ns_per_ms);
        for (const auto mode : every_mode) {
            ASSERT_TRUE(disk.set_mode(mode));
            disk.queue(0).silent = true;
            {
                std::vector<ThreadHandle> threads;
                for (unsigned i = 0; i < 3; ++i)
                    threads.push_back(must_spawn(scheduler, [&disk, i] {
                        Piece piece(BlockOperation::read, i);
                        EXPECT_EQ(run(disk, piece.request), BlockStatus::timed_out);
                    }));
            }
            disk.queue(0).silent = false;
            Piece piece(BlockOperation::read, 9);
            EXPECT_EQ(run(disk, piece.request), BlockStatus::ok);
        }
    });
}

TEST(AdaptiveQueue, WithoutAdaptiveDriversOnlyInterruptsAreWaitedFor) {
    run_threads(1, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1, false);
        EXPECT_EQ(disk.mode(), IoMode::interrupt);
        for (const auto mode : every_mode) EXPECT_EQ(disk.set_mode(mode), mode == IoMode::interrupt);
        Piece piece(BlockOperation::read, 9);
        for (int i = 0; i < 100; ++i) EXPECT_EQ(run(disk, piece.request), BlockStatus::ok);
        EXPECT_EQ(disk.adaptive_queue(0).report().modes[0].operations, 100u);
    });
}

TEST(AdaptiveQueue, PollingLetsOtherThreadsOfTheCpuRun) {
    run_threads(1, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1);
        // The device is a thread of this one CPU: were it not let run, no request would ever end.
        ASSERT_TRUE(disk.set_mode(IoMode::polling));
        Piece piece(BlockOperation::read, 9);
        for (int i = 0; i < 20; ++i) EXPECT_EQ(run(disk, piece.request), BlockStatus::ok);
    });
}

TEST(AdaptiveQueue, TimedRequestsAreTracedInTheirOrder) {
    run_threads(1, [](Scheduler& scheduler) {
        ThreadDisk disk(scheduler, 1);
        Piece piece(BlockOperation::write, 77);
        for (int i = 0; i < 300; ++i) ASSERT_EQ(run(disk, piece.request), BlockStatus::ok);
        const auto trace = std::make_unique<IoTrace>();
        IoDecisions decisions;
        disk.adaptive_queue(0).copy_trace(*trace, decisions);
        ASSERT_GT(trace->size(), 0u);
        for (std::size_t i = 0; i < trace->size(); ++i) {
            const IoTimes& times = (*trace)[i];
            EXPECT_EQ(times.sector, 77u);
            EXPECT_EQ(times.bytes, sector_size);
            EXPECT_LE(times.submit, times.handed_over);
            EXPECT_LE(times.handed_over, times.woken);
            if (i > 0) {
                EXPECT_LE((*trace)[i - 1].submit, times.submit);
            }
        }
        EXPECT_GT(disk.adaptive_queue(0).report().service_ns, 0u);
    });
}

}  // namespace
}  // namespace exo::guest::test
