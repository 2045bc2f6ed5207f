#include "vmm/storage/transfer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

namespace exo::vmm {
namespace {

constexpr DirectAlignment any;

struct Pieces {
    alignas(4096) std::array<char, 16> first{};
    alignas(4096) std::array<char, 16> second{};
    std::array<iovec, 2> segments = {iovec{first.data(), 8}, iovec{second.data(), 8}};

    DiskRequest request(DiskOperation operation) {
        return {.operation = operation, .offset = 512, .segments = segments, .cookie = 9};
    }
};

TEST(Transfer, WholeAtOnce) {
    Pieces pieces;
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::read), any);
    EXPECT_EQ(transfer.offset(), 512);
    EXPECT_EQ(transfer.rest().size(), 2u);
    EXPECT_FALSE(transfer.ended());
    transfer.advance(16);
    EXPECT_TRUE(transfer.ended());
    const DiskCompletion completion = transfer.finish();
    EXPECT_EQ(completion.cookie, 9u);
    EXPECT_EQ(completion.error, 0);
    EXPECT_EQ(completion.bytes, 16u);
}

TEST(Transfer, ShortCallsAreContinuedWhereTheyStopped) {
    Pieces pieces;
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::write), any);
    transfer.advance(3);
    EXPECT_EQ(transfer.offset(), 515);
    EXPECT_EQ(transfer.rest()[0].iov_base, pieces.first.data() + 3);
    EXPECT_EQ(transfer.rest()[0].iov_len, 5u);
    transfer.advance(6);
    EXPECT_EQ(transfer.rest().size(), 1u);
    EXPECT_EQ(transfer.rest()[0].iov_base, pieces.second.data() + 1);
    EXPECT_FALSE(transfer.ended());
    transfer.advance(7);
    EXPECT_TRUE(transfer.ended());
    EXPECT_EQ(transfer.finish().bytes, 16u);
}

TEST(Transfer, EndOfFileIsAnError) {
    Pieces pieces;
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::read), any);
    transfer.advance(8);
    transfer.advance(0);
    EXPECT_TRUE(transfer.ended());
    const DiskCompletion completion = transfer.finish();
    EXPECT_EQ(completion.error, EIO);
    EXPECT_EQ(completion.bytes, 8u);
}

TEST(Transfer, KeepsTheKernelsError) {
    Pieces pieces;
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::write), any);
    transfer.advance(-ENOSPC);
    EXPECT_TRUE(transfer.ended());
    EXPECT_EQ(transfer.finish().error, ENOSPC);
}

TEST(Transfer, TriesAgainButNotForEver) {
    Pieces pieces;
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::read), any);
    transfer.advance(-EINTR);
    transfer.advance(-EAGAIN);
    EXPECT_FALSE(transfer.ended());
    for (int i = 0; i < 100'000 && !transfer.ended(); ++i) transfer.advance(-EAGAIN);
    EXPECT_TRUE(transfer.ended());
    EXPECT_EQ(transfer.finish().error, EIO);
}

TEST(Transfer, FlushEndsWithItsCall) {
    Transfer transfer;
    transfer.begin({.operation = DiskOperation::flush, .cookie = 1}, any);
    EXPECT_FALSE(transfer.ended());
    transfer.advance(0);
    EXPECT_TRUE(transfer.ended());
    EXPECT_EQ(transfer.finish().error, 0);
}

TEST(Transfer, MisalignedMemoryIsReadThroughABuffer) {
    Pieces pieces;
    Transfer transfer;
    pieces.segments[0].iov_base = pieces.first.data() + 1;
    transfer.begin(pieces.request(DiskOperation::read), {.memory = 4096, .disk = 8});
    const auto rest = transfer.rest();
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_EQ(rest[0].iov_len, 16u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(rest[0].iov_base) % 4096, 0u);
    std::memcpy(rest[0].iov_base, "abcdefghABCDEFGH", 16);
    transfer.advance(16);
    EXPECT_EQ(transfer.finish().error, 0);
    EXPECT_EQ(std::string_view(pieces.first.data() + 1, 8), "abcdefgh");
    EXPECT_EQ(std::string_view(pieces.second.data(), 8), "ABCDEFGH");
}

TEST(Transfer, MisalignedLengthIsWrittenThroughABuffer) {
    Pieces pieces;
    std::memcpy(pieces.first.data(), "abcdefgh", 8);
    std::memcpy(pieces.second.data(), "ABCDEFGH", 8);
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::write), {.memory = 4096, .disk = 16});
    const auto rest = transfer.rest();
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_EQ(std::string_view(static_cast<char*>(rest[0].iov_base), rest[0].iov_len), "abcdefghABCDEFGH");
}

TEST(Transfer, AlignedMemoryGoesStraight) {
    Pieces pieces;
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::read), {.memory = 4096, .disk = 8});
    EXPECT_EQ(transfer.rest()[0].iov_base, pieces.first.data());
}

TEST(Transfer, FailedReadLeavesTheGuestsMemoryAlone) {
    Pieces pieces;
    pieces.segments[0].iov_base = pieces.first.data() + 1;
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::read), {.memory = 4096, .disk = 8});
    std::memcpy(transfer.rest()[0].iov_base, "abcdefghABCDEFGH", 16);
    transfer.advance(-EIO);
    EXPECT_EQ(transfer.finish().error, EIO);
    EXPECT_EQ(pieces.first[1], 0);
}

TEST(Transfer, BufferIsBoundedAndFilledAgain) {
    constexpr std::size_t size = 3 * Transfer::buffer_limit + 512;
    std::vector<char> memory(size + 1);
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<char>(i * 7 + i / 4096);
    iovec segment{memory.data() + 1, size};
    for (const DiskOperation operation : {DiskOperation::write, DiskOperation::read}) {
        Transfer transfer;
        transfer.begin({.operation = operation, .segments = {&segment, 1}}, {.memory = 4096, .disk = 512});
        const std::vector<char> original(memory.begin() + 1, memory.end());
        if (operation == DiskOperation::read) std::ranges::fill(memory, char{0});
        std::size_t done = 0;
        while (!transfer.ended()) {
            const auto rest = transfer.rest();
            ASSERT_EQ(rest.size(), 1u);
            ASSERT_LE(rest[0].iov_len, Transfer::buffer_limit);
            const std::size_t step = std::min<std::size_t>(rest[0].iov_len, 700'000 / 512 * 512);
            if (operation == DiskOperation::write) {
                ASSERT_EQ(std::memcmp(rest[0].iov_base, original.data() + done, step), 0) << done;
            } else {
                std::memcpy(rest[0].iov_base, original.data() + done, step);
            }
            transfer.advance(static_cast<ssize_t>(step));
            done += step;
        }
        EXPECT_EQ(transfer.finish().bytes, size);
        EXPECT_EQ(std::memcmp(memory.data() + 1, original.data(), size), 0);
    }
}

constexpr DiskRequest zeroes{.operation = DiskOperation::write_zeroes, .offset = 4096, .length = 8192};

TEST(Transfer, RangeIsOneCall) {
    Transfer transfer;
    transfer.begin(zeroes, any);
    EXPECT_EQ(transfer.fallocate_mode(), FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE);
    EXPECT_EQ(transfer.offset(), 4096);
    EXPECT_EQ(transfer.length(), 8192);
    transfer.advance(0);
    EXPECT_TRUE(transfer.ended());
    EXPECT_EQ(transfer.finish().bytes, 8192u);
}

TEST(Transfer, ZeroesAreWrittenWhereTheHostCannotMakeThem) {
    Transfer transfer;
    DiskRequest request = zeroes;
    request.may_unmap = true;
    request.fua = true;
    transfer.begin(request, any);
    EXPECT_EQ(transfer.fallocate_mode(), FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE);
    transfer.advance(-EOPNOTSUPP);
    EXPECT_EQ(transfer.operation(), DiskOperation::write_zeroes);
    EXPECT_EQ(transfer.fallocate_mode(), FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE);
    transfer.advance(-EOPNOTSUPP);
    EXPECT_EQ(transfer.operation(), DiskOperation::write);
    EXPECT_TRUE(transfer.fua());
    EXPECT_FALSE(transfer.ended());
    auto rest = transfer.rest();
    ASSERT_EQ(rest.size(), 1u);
    ASSERT_EQ(rest[0].iov_len, 8192u);
    const std::string_view bytes(static_cast<char*>(rest[0].iov_base), 8192);
    EXPECT_EQ(bytes.find_first_not_of('\0'), bytes.npos);
    transfer.advance(5000);
    EXPECT_EQ(transfer.offset(), 4096 + 5000);
    EXPECT_EQ(transfer.rest()[0].iov_len, 3192u);
    transfer.advance(3192);
    EXPECT_TRUE(transfer.ended());
    EXPECT_EQ(transfer.finish().bytes, 8192u);
}

TEST(Transfer, DiscardIsAHint) {
    Transfer transfer;
    transfer.begin({.operation = DiskOperation::discard, .length = 512}, any);
    transfer.advance(-EOPNOTSUPP);
    EXPECT_TRUE(transfer.ended());
    EXPECT_EQ(transfer.finish().error, 0);
    transfer.begin({.operation = DiskOperation::discard, .length = 512}, any);
    transfer.advance(-EIO);
    EXPECT_EQ(transfer.finish().error, EIO);
}

TEST(Transfer, ObjectIsUsedAgain) {
    Pieces pieces;
    Transfer transfer;
    transfer.begin(pieces.request(DiskOperation::read), any);
    transfer.advance(-EIO);
    transfer.finish();
    transfer.begin(pieces.request(DiskOperation::read), any);
    EXPECT_FALSE(transfer.ended());
    transfer.advance(16);
    EXPECT_EQ(transfer.finish().error, 0);
}

}  // namespace
}  // namespace exo::vmm
