// What every back-end has to do alike.

#include "vmm/storage/disk.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <random>

#include "tests/unit/storage/temporary_file.h"
#include "vmm/storage/memory_disk.h"
#include "vmm/storage/open_disk.h"

namespace exo::vmm {
namespace {

using test::TemporaryFile;

constexpr std::size_t disk_size = 1 << 20;

struct Backend {
    const char* name;
    DiskBackend backend;
    bool direct;
};

/// Sleeps on the completion descriptor as the I/O thread does.
std::vector<DiskCompletion> reap(Disk& disk, std::size_t count) {
    std::vector<DiskCompletion> all;
    while (all.size() < count) {
        pollfd waiting{disk.completion_fd(), POLLIN, 0};
        if (::poll(&waiting, 1, 10'000) != 1) {
            ADD_FAILURE() << "no completion within ten seconds";
            break;
        }
        eventfd_t signals = 0;
        ::eventfd_read(disk.completion_fd(), &signals);
        std::array<DiskCompletion, 3> some;
        std::size_t got = 0;
        do {
            got = disk.reap(some);
            all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(got));
        } while (got == some.size());
    }
    return all;
}

DiskCompletion run(Disk& disk, DiskRequest request, std::span<std::byte> memory) {
    const iovec segment{memory.data(), memory.size()};
    if (!memory.empty()) request.segments = {&segment, 1};
    disk.submit({&request, 1});
    const auto completions = reap(disk, 1);
    return completions.empty() ? DiskCompletion{.error = ETIMEDOUT} : completions[0];
}

struct alignas(4096) Block {
    std::array<std::byte, 4096> bytes{};
};

class FileDisk : public testing::TestWithParam<Backend> {
  protected:
    void SetUp() override {
        auto disk = open_disk({.path = file_.path(), .direct = GetParam().direct}, GetParam().backend);
        if (!disk) GTEST_SKIP() << disk.error().message();
        disk_ = std::move(*disk);
    }
    std::size_t block() const { return disk_->geometry().logical_block; }

    TemporaryFile file_{disk_size};
    std::unique_ptr<Disk> disk_;
};

TEST_P(FileDisk, WritesReachTheFileAndComeBack) {
    Block out;
    out.bytes.fill(std::byte{0x5a});
    EXPECT_EQ(run(*disk_, {.operation = DiskOperation::write, .offset = 8192, .cookie = 5}, out.bytes).error,
              0);
    EXPECT_EQ(run(*disk_, {.operation = DiskOperation::flush}, {}).error, 0);
    const auto content = file_.content();
    EXPECT_EQ(content[8191], std::byte{0});
    EXPECT_EQ(content[8192], std::byte{0x5a});
    EXPECT_EQ(content[12287], std::byte{0x5a});
    EXPECT_EQ(content[12288], std::byte{0});
    Block in;
    const auto completion = run(*disk_, {.offset = 8192, .cookie = 77}, in.bytes);
    EXPECT_EQ(completion.error, 0);
    EXPECT_EQ(completion.cookie, 77u);
    EXPECT_EQ(completion.bytes, 4096u);
    EXPECT_EQ(in.bytes, out.bytes);
}

TEST_P(FileDisk, ForcedUnitAccess) {
    Block out;
    out.bytes.fill(std::byte{1});
    EXPECT_EQ(run(*disk_, {.operation = DiskOperation::write, .fua = true, .offset = 0}, out.bytes).error, 0);
    EXPECT_EQ(file_.content()[0], std::byte{1});
}

TEST_P(FileDisk, DiscardAndWriteZeroes) {
    const std::size_t piece = 16 * 4096;
    std::vector<Block> ones(64);
    for (Block& block : ones) block.bytes.fill(std::byte{1});
    const std::span<std::byte> all = std::as_writable_bytes(std::span(ones));
    ASSERT_EQ(run(*disk_, {.operation = DiskOperation::write}, all).error, 0);
    DiskRequest zeroes{.operation = DiskOperation::write_zeroes, .offset = piece, .length = piece};
    EXPECT_EQ(run(*disk_, zeroes, {}).bytes, piece);
    zeroes.may_unmap = true;
    zeroes.offset = 2 * piece;
    EXPECT_EQ(run(*disk_, zeroes, {}).error, 0);
    const auto discarded =
        run(*disk_, {.operation = DiskOperation::discard, .offset = 3 * piece, .length = piece}, {});
    EXPECT_EQ(discarded.error, 0);
    EXPECT_EQ(discarded.bytes, piece);
    const auto content = file_.content();
    EXPECT_EQ(content.size(), disk_size);
    EXPECT_EQ(content[piece - 1], std::byte{1});
    for (std::size_t i = piece; i < 3 * piece; ++i) ASSERT_EQ(content[i], std::byte{0}) << i;
}

TEST_P(FileDisk, MisalignedMemory) {
    std::array<Block, 2> out;
    std::array<Block, 2> in;
    const std::span<std::byte> from(out[0].bytes.data() + 3, 4096);
    const std::span<std::byte> to(in[0].bytes.data() + 7, 4096);
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 7);
    EXPECT_EQ(run(*disk_, {.operation = DiskOperation::write, .offset = 4096}, from).error, 0);
    EXPECT_EQ(run(*disk_, {.offset = 4096}, to).error, 0);
    EXPECT_TRUE(std::ranges::equal(from, to));
    EXPECT_EQ(to[4096 - 1], from[4095]);
    EXPECT_EQ(in[0].bytes[6], std::byte{0});
}

TEST_P(FileDisk, FileCutOffUnderUsIsAnErrorNotACrash) {
    file_.resize(4096);
    Block in;
    EXPECT_EQ(run(*disk_, {.offset = 0}, in.bytes).error, 0);
    EXPECT_EQ(run(*disk_, {.offset = 4096}, in.bytes).error, EIO);
    std::array<Block, 2> two;
    const iovec across{two[0].bytes.data(), 8192};
    DiskRequest request{.offset = 0, .segments = {&across, 1}};
    disk_->submit({&request, 1});
    EXPECT_EQ(reap(*disk_, 1)[0].error, EIO);
}

TEST_P(FileDisk, EndsRequestsInFlightWhenItGoes) {
    std::vector<Block> memory(disk_->depth());
    for (Block& block : memory) block.bytes.fill(std::byte{0x11});
    const auto submit_all = [&](DiskOperation operation) {
        std::vector<iovec> segments;
        std::vector<DiskRequest> batch;
        for (Block& block : memory) segments.push_back({block.bytes.data(), 4096});
        for (std::size_t i = 0; i < memory.size(); ++i)
            batch.push_back(
                {.operation = operation, .offset = i * 4096, .segments = {&segments[i], 1}, .cookie = i});
        disk_->submit(batch);
    };
    submit_all(DiskOperation::write);
    ASSERT_EQ(reap(*disk_, memory.size()).size(), memory.size());
    EXPECT_EQ(run(*disk_, {.operation = DiskOperation::flush}, {}).error, 0);
    submit_all(DiskOperation::read);
    disk_.reset();
    for (Block& block : memory) block.bytes.fill(std::byte{0x22});
    ::usleep(20'000);  // whatever the kernel still wrote would be seen now
    for (const Block& block : memory)
        ASSERT_TRUE(std::ranges::all_of(block.bytes, [](std::byte byte) { return byte == std::byte{0x22}; }));
}

/// Requests of several segments, many at once, nowhere overlapping among those in flight.
TEST_P(FileDisk, RandomRequestsAgreeWithAShadow) {
    std::mt19937 random(1);
    std::vector<std::byte> shadow(disk_size);
    constexpr std::size_t slots = 16;  // each works on its own sixteenth of the disk
    constexpr std::size_t area = disk_size / slots;
    struct InFlight {
        bool write = false;
        std::size_t offset = 0;
        std::vector<Block> memory;
        std::vector<iovec> segments;
    };
    std::vector<InFlight> in_flight(slots);
    const auto pick = [&](std::size_t below) {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
    };

    const auto make = [&](std::size_t slot) {
        InFlight& one = in_flight[slot];
        one.write = pick(2) == 0;
        one.memory.assign(4, {});
        one.segments.clear();
        std::size_t length = 0;
        for (std::size_t i = 0, count = 1 + pick(4); i < count; ++i) {
            const std::size_t size = block() * (1 + pick(4096 / block()));
            one.segments.push_back({one.memory[i].bytes.data() + (4096 - size), size});
            length += size;
        }
        one.offset = slot * area + pick((area - length) / block() + 1) * block();
        std::size_t at = one.offset;
        for (const iovec& segment : one.segments) {
            auto* bytes = static_cast<std::byte*>(segment.iov_base);
            for (std::size_t i = 0; one.write && i < segment.iov_len; ++i)
                shadow[at + i] = bytes[i] = static_cast<std::byte>(random());
            at += segment.iov_len;
        }
        return DiskRequest{.operation = one.write ? DiskOperation::write : DiskOperation::read,
                           .fua = one.write && pick(50) == 0,
                           .offset = one.offset,
                           .segments = one.segments,
                           .cookie = slot};
    };
    const auto check = [&](const DiskCompletion& completion) {
        ASSERT_EQ(completion.error, 0);
        const InFlight& one = in_flight[completion.cookie];
        std::size_t at = one.offset;
        for (const iovec& segment : one.segments) {
            ASSERT_EQ(std::memcmp(segment.iov_base, shadow.data() + at, segment.iov_len), 0);
            at += segment.iov_len;
        }
        ASSERT_EQ(completion.bytes, at - one.offset);
    };

    for (int round = 0; round < 100; ++round) {
        std::vector<DiskRequest> batch;
        for (std::size_t slot = 0; slot < slots; ++slot) batch.push_back(make(slot));
        disk_->submit(batch);
        const auto completions = reap(*disk_, slots);
        ASSERT_EQ(completions.size(), slots);
        for (const DiskCompletion& completion : completions) check(completion);
    }
    EXPECT_EQ(run(*disk_, {.operation = DiskOperation::flush}, {}).error, 0);
    EXPECT_EQ(file_.content(), shadow);
}

TEST_P(FileDisk, FullDepthAtOnce) {
    std::vector<Block> memory(disk_->depth());
    std::vector<iovec> segments;
    std::vector<DiskRequest> batch;
    for (Block& one : memory) segments.push_back({one.bytes.data(), 4096});
    for (std::size_t i = 0; i < memory.size(); ++i)
        batch.push_back({.offset = i * 4096 % disk_size, .segments = {&segments[i], 1}, .cookie = i});
    disk_->submit(batch);
    std::map<std::uint64_t, int> seen;
    for (const DiskCompletion& completion : reap(*disk_, memory.size())) ++seen[completion.cookie];
    EXPECT_EQ(seen.size(), memory.size());
}

INSTANTIATE_TEST_SUITE_P(Backends, FileDisk,
                         testing::Values(Backend{"io_uring", DiskBackend::io_uring, false},
                                         Backend{"io_uring_direct", DiskBackend::io_uring, true},
                                         Backend{"threads", DiskBackend::threads, false},
                                         Backend{"threads_direct", DiskBackend::threads, true}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST(MemoryDisk, ReadsWritesAndEnds) {
    auto disk = MemoryDisk::create(std::vector<std::byte>(1024));
    ASSERT_TRUE(disk);
    std::array<std::byte, 512> data{};
    data.fill(std::byte{3});
    EXPECT_EQ(run(*disk, {.operation = DiskOperation::write, .offset = 512}, data).error, 0);
    EXPECT_EQ(disk->content()[511], std::byte{0});
    EXPECT_EQ(disk->content()[512], std::byte{3});
    EXPECT_EQ(run(*disk, {.offset = 0}, data).error, 0);
    EXPECT_EQ(data[0], std::byte{0});
    EXPECT_EQ(run(*disk, {.offset = 1024}, data).error, EIO);
    EXPECT_EQ(run(*disk, {.operation = DiskOperation::flush}, {}).error, 0);
}

TEST(MemoryDisk, RefusesOddSizes) {
    EXPECT_FALSE(MemoryDisk::create({}));
    EXPECT_FALSE(MemoryDisk::create(std::vector<std::byte>(1000)));
    EXPECT_FALSE(MemoryDisk::create(std::vector<std::byte>(512), false, 4096));
}

}  // namespace
}  // namespace exo::vmm
