#include "guest/memory/checked_allocator.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "tests/unit/memory/hosted_heap.h"

namespace exo::guest {
namespace {

std::vector<HeapFault>& faults() {
    static std::vector<HeapFault> found;
    return found;
}

class CheckedAllocatorTest : public testing::Test {
  protected:
    static constexpr std::uintptr_t allocator = 0x1000;
    static constexpr std::uintptr_t releaser = 0x2000;
    static constexpr std::uintptr_t finder = 0x3000;

    CheckedAllocatorTest() { faults().clear(); }

    std::byte* allocate(std::size_t size, std::size_t alignment = 8, std::uintptr_t origin = allocator) {
        return static_cast<std::byte*>(checked_.allocate(cache_, size, alignment, origin));
    }
    void free(void* pointer, std::size_t size = Checked::unknown_size, std::uintptr_t origin = releaser) {
        checked_.deallocate(cache_, pointer, size, origin);
    }
    void expect_only(HeapFaultKind kind, const void* pointer) {
        ASSERT_EQ(faults().size(), 1U);
        EXPECT_EQ(faults()[0].kind, kind) << name_of(faults()[0].kind);
        EXPECT_EQ(faults()[0].pointer, pointer);
    }

    using Checked = CheckedAllocator<HostedAllocator>;
    HostedHeap heap_{4096};
    HostedAllocator::Cache cache_{*heap_};
    Checked checked_{*heap_, [](const HeapFault& fault) { faults().push_back(fault); }};
};

TEST_F(CheckedAllocatorTest, FindsNothingInCorrectUse) {
    for (int round = 0; round < 2; ++round) {
        for (const std::size_t size :
             {0U, 1U, 8U, 24U, 100U, 2'000U, 2'048U, 4'096U, 4'300U, 9'000U, 70'000U}) {
            for (std::size_t alignment = 1; alignment <= 65'536; alignment *= 2) {
                std::byte* const memory = allocate(size, alignment);
                ASSERT_NE(memory, nullptr);
                EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % alignment, 0U);
                std::memset(memory, 0x5a, size);
                free(memory, size);
            }
        }
    }
    free(nullptr);
    EXPECT_TRUE(faults().empty());
    cache_.flush();
    heap_->reclaim();
    EXPECT_EQ(heap_->statistics().buddy.free_pages, 4096U);
}

TEST_F(CheckedAllocatorTest, DoubleFreeNamesBothOrigins) {
    std::byte* const memory = allocate(100);
    free(memory);
    free(memory, 100, finder);
    expect_only(HeapFaultKind::double_free, memory);
    EXPECT_EQ(faults()[0].size, 100U);
    EXPECT_EQ(faults()[0].allocated_by, allocator);
    EXPECT_EQ(faults()[0].freed_by, releaser);
    EXPECT_EQ(faults()[0].found_by, finder);
    EXPECT_NE(allocate(100), allocate(100));
}

TEST_F(CheckedAllocatorTest, ForeignPointersAreRefused) {
    int local = 0;
    free(&local);
    std::byte* const memory = allocate(1'000);
    free(memory + 16);
    std::byte* const large = allocate(10'000);
    free(large + 5'000);
    free(heap_.base() + 4'000 * heap_page_size);
    ASSERT_EQ(faults().size(), 4U);
    for (const HeapFault& fault : faults()) EXPECT_EQ(fault.kind, HeapFaultKind::foreign_pointer);
    EXPECT_EQ(faults()[1].allocated_by, allocator);
    faults().clear();
    free(memory);
    free(large);
    EXPECT_TRUE(faults().empty());
    free(large);
    expect_only(HeapFaultKind::foreign_pointer, large);
}

TEST_F(CheckedAllocatorTest, OverrunByOneByte) {
    for (const std::size_t size : {1U, 8U, 63U, 64U, 1'000U, 5'000U}) {
        faults().clear();
        std::byte* const memory = allocate(size);
        const std::size_t room = heap_->usable_size(memory);
        memory[size] = std::byte{0};
        free(memory);
        if (size % 8 != 0) {
            expect_only(HeapFaultKind::overrun, memory);
        } else {
            // It may lie against the trailer itself, whose state is then gone.
            ASSERT_EQ(faults().size(), 1U) << size << " of " << room;
        }
    }
}

TEST_F(CheckedAllocatorTest, UnderrunByOneByte) {
    std::byte* const memory = allocate(64);
    memory[-1] = std::byte{0};
    free(memory);
    expect_only(HeapFaultKind::underrun, memory);
}

TEST_F(CheckedAllocatorTest, WrongSize) {
    std::byte* const memory = allocate(64);
    free(memory, 65);
    expect_only(HeapFaultKind::wrong_size, memory);
    EXPECT_EQ(faults()[0].size, 64U);
}

TEST_F(CheckedAllocatorTest, WriteAfterFreeIsFoundWithItsHistory) {
    std::byte* const memory = allocate(64);
    free(memory);
    memory[0] = std::byte{1};
    allocate(64, 8, finder);
    expect_only(HeapFaultKind::use_after_free, memory);
    EXPECT_EQ(faults()[0].allocated_by, allocator);
    EXPECT_EQ(faults()[0].freed_by, releaser);
    EXPECT_EQ(faults()[0].found_by, finder);
}

TEST_F(CheckedAllocatorTest, PiecesOfGranulesAreChecked) {
    std::byte* const memory = allocate(4'300);
    std::byte* const neighbour = allocate(3'000);
    memory[4'300] = std::byte{0};
    free(memory + 600);
    ASSERT_EQ(faults().size(), 1U);
    EXPECT_EQ(faults()[0].kind, HeapFaultKind::foreign_pointer);
    EXPECT_EQ(faults()[0].allocated_by, allocator);
    faults().clear();
    free(memory);
    expect_only(HeapFaultKind::overrun, memory);
    std::array<LeakSite, 2> sites;
    ASSERT_EQ(checked_.leaks(0, sites), 1U);
    EXPECT_EQ(sites[0].bytes, 3'000U);
    free(neighbour);
    EXPECT_EQ(checked_.leaks(0, sites), 0U);
}

TEST_F(CheckedAllocatorTest, LeaksAreSummedUpByOrigin) {
    allocate(10);
    const std::uint64_t mark = checked_.mark();
    allocate(100, 8, 0xa);
    allocate(100, 8, 0xa);
    allocate(70'000, 8, 0xb);
    free(allocate(500, 8, 0xc));
    std::array<LeakSite, 8> sites;
    ASSERT_EQ(checked_.leaks(mark, sites), 2U);
    EXPECT_EQ(sites[0].allocated_by, 0xbU);
    EXPECT_EQ(sites[0].bytes, 70'000U);
    EXPECT_EQ(sites[1].allocated_by, 0xaU);
    EXPECT_EQ(sites[1].allocations, 2U);
    EXPECT_EQ(checked_.leaks(0, sites), 3U);
    EXPECT_EQ(checked_.leaks(0, std::span(sites).first(1)), 1U);
}

TEST_F(CheckedAllocatorTest, ExhaustionIsNull) {
    EXPECT_EQ(allocate(~std::size_t{0} - 10), nullptr);
    EXPECT_EQ(allocate(std::size_t{1} << 40), nullptr);
    EXPECT_EQ(allocate(1, std::size_t{2} << 20), nullptr);
    EXPECT_TRUE(faults().empty());
}

}  // namespace
}  // namespace exo::guest
