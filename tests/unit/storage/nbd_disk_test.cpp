#include "vmm/storage/nbd_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <map>
#include <random>

#include "tests/unit/storage/nbd_server.h"
#include "tests/unit/storage/temporary_file.h"
#include "vmm/storage/open_disk.h"

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using Bytes = std::vector<std::byte>;
constexpr std::uint64_t disk_size = 1 << 20;

Bytes pattern(std::size_t size, unsigned seed) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(seed + i * 7 + i / 256);
    return bytes;
}

class NbdDiskTest : public testing::Test {
  protected:
    void SetUp() override {
        if (!test::NbdServer::installed()) GTEST_SKIP() << "nbdkit is not installed (tools/setup test)";
    }

    void connect(std::chrono::milliseconds patience = 30s) {
        auto disk = NbdDisk::create(
            {.uri = server_.uri(), .patience = patience, .warn = [this](const std::string& text) {
                 const std::lock_guard lock(mutex_);
                 warnings_ += text + "\n";
             }});
        ASSERT_TRUE(disk) << disk.error().message();
        disk_ = std::move(*disk);
    }

    void submit(DiskRequest request, std::span<std::byte> memory) {
        const iovec segment{memory.data(), memory.size()};
        if (!memory.empty()) request.segments = {&segment, 1};
        disk_->submit({&request, 1});
    }

    /// The next completions, by cookie.
    std::map<std::uint64_t, DiskCompletion> reap(std::size_t count) {
        std::map<std::uint64_t, DiskCompletion> found;
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (found.size() < count && std::chrono::steady_clock::now() < deadline) {
            pollfd watched{.fd = disk_->completion_fd(), .events = POLLIN, .revents = 0};
            ::poll(&watched, 1, 100);
            std::uint64_t ignored = 0;
            static_cast<void>(::read(disk_->completion_fd(), &ignored, sizeof(ignored)));
            std::array<DiskCompletion, 8> some;
            for (std::size_t got = 8; got == 8;) {
                got = disk_->reap(some);
                for (std::size_t i = 0; i < got; ++i) found[some[i].cookie] = some[i];
            }
        }
        EXPECT_EQ(found.size(), count);
        return found;
    }

    DiskCompletion run(const DiskRequest& request, std::span<std::byte> memory) {
        submit(request, memory);
        const auto completions = reap(1);
        return completions.empty() ? DiskCompletion{.error = ETIMEDOUT} : completions.begin()->second;
    }
    int write(std::uint64_t offset, Bytes bytes) {
        return run({.operation = DiskOperation::write, .offset = offset}, bytes).error;
    }
    int flush() { return run({.operation = DiskOperation::flush}, {}).error; }
    Bytes read(std::uint64_t offset, std::size_t size) {
        Bytes bytes(size);
        EXPECT_EQ(run({.offset = offset}, bytes).error, 0);
        return bytes;
    }
    std::string warnings() {
        const std::lock_guard lock(mutex_);
        return warnings_;
    }

    test::NbdServer server_;
    std::mutex mutex_;
    std::string warnings_;
    std::unique_ptr<Disk> disk_;
};

TEST_F(NbdDiskTest, WritesReachTheServersFileAndComeBack) {
    const test::TemporaryFile file(disk_size);
    server_.start({"file", file.path()});
    connect();
    EXPECT_EQ(disk_->geometry().size, disk_size);
    EXPECT_EQ(write(8192, pattern(4096, 3)), 0);
    EXPECT_EQ(flush(), 0);
    const Bytes content = file.content();
    EXPECT_EQ(Bytes(content.begin() + 8192, content.begin() + 12288), pattern(4096, 3));
    EXPECT_EQ(content[8191], std::byte{0});
    EXPECT_EQ(content[12288], std::byte{0});
    EXPECT_EQ(read(8192, 4096), pattern(4096, 3));
}

TEST_F(NbdDiskTest, RequestsLongerThanACommandAndOfManySegments) {
    server_.start({"memory", "8M"});
    connect();
    constexpr std::size_t size = 2 * NbdConnection::longest_command + 1536;
    const Bytes whole = pattern(size, 9);
    ASSERT_EQ(write(512, whole), 0);
    EXPECT_EQ(read(512, size), whole);
    Bytes first(1024);
    Bytes second(size - 1024);
    const iovec segments[] = {{first.data(), first.size()}, {second.data(), second.size()}};
    const DiskRequest request{.offset = 512, .segments = segments, .cookie = 5};
    disk_->submit({&request, 1});
    EXPECT_EQ(reap(1)[5].bytes, size);
    EXPECT_TRUE(std::equal(first.begin(), first.end(), whole.begin()));
    EXPECT_TRUE(std::equal(second.begin(), second.end(), whole.begin() + 1024));
}

class NbdServersAbilities : public NbdDiskTest,
                            public testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(NbdServersAbilities, ZeroesDiscardsAndForcedWritesWorkWithoutThem) {
    server_.start(GetParam());
    connect();
    const Bytes before = pattern(2 << 20, 1);
    ASSERT_EQ(write(0, before), 0);
    constexpr std::uint64_t length = (1 << 20) + 512;
    const auto zeroed =
        run({.operation = DiskOperation::write_zeroes, .offset = 512, .length = length, .cookie = 1}, {});
    EXPECT_EQ(zeroed.error, 0);
    EXPECT_EQ(zeroed.bytes, length);
    EXPECT_EQ(read(512, length), Bytes(length));
    EXPECT_EQ(read(512 + length, 512), Bytes(before.begin() + 512 + length, before.begin() + 1024 + length));
    EXPECT_EQ(run({.operation = DiskOperation::discard, .offset = 0, .length = length}, {}).error, 0);
    Bytes forced = pattern(4096, 2);
    EXPECT_EQ(run({.operation = DiskOperation::write, .fua = true, .offset = 0}, forced).error, 0);
    EXPECT_EQ(read(0, 4096), forced);
    EXPECT_EQ(flush(), 0);
}

using Words = std::vector<std::string>;
INSTANTIATE_TEST_SUITE_P(Servers, NbdServersAbilities,
                         testing::Values(Words{"memory", "4M"}, Words{"--filter=nozero", "memory", "4M"},
                                         Words{"--filter=fua", "memory", "4M"}));

TEST_F(NbdDiskTest, AServerThatDiedGetsWhatItHadNotFlushed) {
    server_.start({"memory", "1M"});
    connect();
    ASSERT_EQ(write(0, pattern(4096, 1)), 0);
    ASSERT_EQ(write(0, pattern(4096, 2)), 0);  // in this order
    ASSERT_EQ(run({.operation = DiskOperation::write_zeroes, .offset = 512, .length = 512}, {}).error, 0);
    server_.kill();
    Bytes bytes(4096);
    submit({.offset = 0, .cookie = 7}, bytes);
    std::this_thread::sleep_for(300ms);
    server_.start({"memory", "1M"});
    EXPECT_EQ(reap(1)[7].error, 0);
    Bytes expected = pattern(4096, 2);
    std::fill(expected.begin() + 512, expected.begin() + 1024, std::byte{0});
    EXPECT_EQ(bytes, expected);
    EXPECT_THAT(warnings(), HasSubstr("gone away"));
    EXPECT_THAT(warnings(), HasSubstr("3 writes again"));
    // And once more, before any flush: they are kept as before.
    server_.kill();
    server_.start({"memory", "1M"});
    EXPECT_EQ(read(0, 4096), expected);
}

/// The last of the writes that a new server got again was still on its way when the guest's read was sent.
TEST_F(NbdDiskTest, AReadSeesTheLastOfTheWritesThatAreDoneAgain) {
    server_.start({"memory", "1M"});
    connect();
    ASSERT_EQ(write(0, pattern(4096, 1)), 0);
    ASSERT_EQ(run({.operation = DiskOperation::write_zeroes, .offset = 0, .length = 4096}, {}).error, 0);
    server_.kill();
    server_.start({"--filter=delay", "memory", "1M", "delay-zero=200ms"});
    EXPECT_EQ(read(0, 4096), Bytes(4096));
}

TEST_F(NbdDiskTest, WhatWasFlushedIsTheServersToKeep) {
    server_.start({"memory", "1M"});
    connect();
    ASSERT_EQ(write(0, pattern(512, 1)), 0);
    ASSERT_EQ(flush(), 0);
    ASSERT_EQ(write(512, pattern(512, 2)), 0);
    server_.kill();
    server_.start({"memory", "1M"});
    EXPECT_EQ(read(0, 512), Bytes(512)) << "a copy was kept for ever";
    EXPECT_EQ(read(512, 512), pattern(512, 2));
    EXPECT_THAT(warnings(), HasSubstr(" 1 writes again"));
}

TEST_F(NbdDiskTest, AServerThatStaysAwayIsAnErrorUntilItIsBack) {
    server_.start({"memory", "1M"});
    connect(300ms);
    ASSERT_EQ(write(0, pattern(512, 4)), 0);
    server_.kill();
    Bytes bytes(512);
    EXPECT_EQ(run({.offset = 0}, bytes).error, EIO);
    EXPECT_EQ(flush(), EIO);
    EXPECT_THAT(warnings(), HasSubstr("stays away"));
    server_.start({"memory", "1M"});
    for (int tries = 0; tries < 100 && run({.offset = 0}, bytes).error != 0; ++tries)
        std::this_thread::sleep_for(50ms);
    EXPECT_EQ(read(0, 512), pattern(512, 4)) << "the copies were not kept";
}

TEST_F(NbdDiskTest, AnotherDiskAtTheSameAddressIsNotWrittenTo) {
    server_.start({"memory", "1M"});
    connect(2s);  // all of it is waited, and the second server has to start in it
    server_.kill();
    server_.start({"memory", "2M"});
    EXPECT_EQ(write(0, pattern(512, 4)), EIO);
    EXPECT_THAT(warnings(), HasSubstr("another disk"));
}

/// Every write that was answered is there in the end, however often the server dies.
TEST_F(NbdDiskTest, ManyRequestsAndAServerThatDiesAgainAndAgain) {
    constexpr std::size_t block = 4096;
    constexpr std::size_t blocks = disk_size / block;
    server_.start({"memory", "1M"});
    connect();
    std::mt19937 random(1);
    std::vector<unsigned> shadow(blocks, 0);
    unsigned seed = 0;
    for (int round = 0; round < 12; ++round) {
        std::map<std::size_t, Bytes> batch;
        while (batch.size() < 48) batch[random() % blocks] = {};
        for (auto& [at, bytes] : batch) {
            shadow[at] = ++seed;
            bytes = pattern(block, seed);
            submit({.operation = DiskOperation::write, .offset = at * block, .cookie = at}, bytes);
        }
        if (round % 3 == 1) {
            server_.kill();
            server_.start({"memory", "1M"});
        }
        for (const auto& [cookie, completion] : reap(batch.size())) EXPECT_EQ(completion.error, 0) << cookie;
    }
    for (std::size_t at = 0; at < blocks; ++at)
        ASSERT_EQ(read(at * block, block), shadow[at] == 0 ? Bytes(block) : pattern(block, shadow[at])) << at;
}

/// A server whose file cannot be written: it tells so once, to the first of two flushes, and late.
TEST_F(NbdDiskTest, AFlushIsNotToldOkBeforeTheErrorOfOneBesideItIsKnown) {
    server_.start(
        {"eval", "thread_model=echo parallel", "get_size=echo 1M", "can_flush=exit 0",
         "pread=head -c $3 /dev/zero", "pwrite=cat >/dev/null",
         "flush=mkdir $tmpdir/first 2>/dev/null || exit 0; sleep 0.4; echo EIO failed >&2; exit 1"});
    connect();
    submit({.operation = DiskOperation::flush, .cookie = 1}, {});
    std::this_thread::sleep_for(100ms);  // the order in which it begins them is the server's own
    submit({.operation = DiskOperation::flush, .cookie = 2}, {});
    const auto completions = reap(2);
    EXPECT_EQ(completions.at(1).error, EIO);
    EXPECT_EQ(completions.at(2).error, EIO);
    EXPECT_EQ(flush(), EIO) << "what was lost is lost";
    EXPECT_THAT(warnings(), HasSubstr("data may be lost"));
}

TEST_F(NbdDiskTest, ManyCopiesAreFlushedBeforeTheyAreTooMany) {
    server_.start({"memory", "32M"});
    connect();
    Bytes piece = pattern(1 << 20, 1);
    for (std::uint64_t i = 0; i < 24; ++i) ASSERT_EQ(write(i << 20, piece), 0);
    server_.kill();
    server_.start({"memory", "32M"});
    read(0, 512);
    EXPECT_THAT(warnings(), testing::Not(HasSubstr(" 24 writes again")));
}

TEST_F(NbdDiskTest, WhatCannotBeServedIsRefused) {
    const auto why = [](const DiskSource& source) {
        const auto disk = open_disk(source);
        return disk ? std::string("opened") : disk.error().message();
    };
    EXPECT_THAT(why({.path = server_.uri()}), HasSubstr("No such file"));
    server_.start({"-r", "memory", "1M"});
    EXPECT_THAT(why({.path = server_.uri()}), HasSubstr("for reading only"));
    EXPECT_EQ(why({.path = server_.uri(), .read_only = true}), "opened");
    EXPECT_THAT(why({.path = server_.uri(), .direct = true}), HasSubstr("not of network disks"));
    server_.kill();
    server_.start({"memory", "1000"});
    EXPECT_THAT(why({.path = server_.uri()}), HasSubstr("no multiple of its 512-byte blocks"));
    server_.kill();
    server_.start({"memory", "0"});
    EXPECT_THAT(why({.path = server_.uri()}), HasSubstr("it is empty"));
}

TEST(NetworkDisk, IsToldFromAFileByItsScheme) {
    for (const char* uri :
         {"nbd://host/name", "nbds://host", "nbd+unix:///?socket=/s", "nbds+unix:///x?socket=/s"})
        EXPECT_TRUE(is_network_disk(uri)) << uri;
    for (const char* path : {"nbd", "nbd:", "./nbd://x", "disk.img", "http://x", "nbdx://y", ""})
        EXPECT_FALSE(is_network_disk(path)) << path;
}

}  // namespace
}  // namespace exo::vmm
