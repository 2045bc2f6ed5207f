// Allocations of real programs, replayed: every byte of every piece is written, and checked when it is freed.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/traces/allocation_trace.h"
#include "tests/unit/memory/hosted_heap.h"

namespace exo::guest {
namespace {

class TraceReplay : public testing::TestWithParam<const char*> {};

TEST_P(TraceReplay, KeepsEveryByteAndReturnsEveryPage) {
    const auto trace = traces::AllocationTrace::read(GetParam());
    ASSERT_GT(trace.allocations, 10'000U);
    constexpr PageIndex pages = 4'096;
    HostedHeap heap(pages);
    const auto initial = heap->statistics().buddy.free_blocks;
    {
        HostedAllocator::Cache cache(*heap);
        struct Piece {
            std::byte* memory = nullptr;
            std::size_t size = 0;
            std::byte pattern{};
        };
        std::vector<Piece> live(trace.slots);
        std::size_t number = 0;
        const auto free = [&](Piece& piece) {
            ASSERT_EQ(std::count(piece.memory, piece.memory + piece.size, piece.pattern), piece.size);
            heap->deallocate(cache, piece.memory, piece.size);
            piece = {};
        };
        for (int round = 0; round < 3; ++round) {
            for (const auto& event : trace.events) {
                Piece& piece = live[event.slot];
                if (event.is_free()) {
                    free(piece);
                    continue;
                }
                piece = {.memory = static_cast<std::byte*>(heap->allocate(cache, event.size)),
                         .size = event.size,
                         .pattern = static_cast<std::byte>(++number * 37)};
                ASSERT_NE(piece.memory, nullptr);
                std::fill_n(piece.memory, piece.size, piece.pattern);
            }
            for (Piece& piece : live)
                if (piece.memory != nullptr) free(piece);
        }
        EXPECT_GE(cache.statistics().hit_rate(), 9'680U);
    }
    heap->reclaim();
    EXPECT_EQ(heap->statistics().buddy.free_blocks, initial);
}

INSTANTIATE_TEST_SUITE_P(Programs, TraceReplay, testing::Values("compiler", "python", "sqlite"),
                         [](const auto& parameter) { return std::string(parameter.param); });

}  // namespace
}  // namespace exo::guest
