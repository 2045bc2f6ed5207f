#include "vmm/storage/flush_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/storage/temporary_file.h"
#include "vmm/storage/open_disk.h"

namespace exo::vmm {
namespace {

using test::TemporaryFile;

using Guard = FlushGuard<int>;

/// What the guest is told of them, in order: number and error.
std::vector<std::pair<int, int>> told(Guard& guard) {
    std::vector<std::pair<int, int>> all;
    while (const auto one = guard.next()) all.emplace_back(one->held, one->error);
    return all;
}

int run_flush(Guard& guard, int error) {
    guard.end(guard.begin(true, false), error, 0);
    return told(guard).at(0).second;
}
int run_forced_write(Guard& guard, int error) {
    guard.end(guard.begin(false, true), error, 0);
    return told(guard).at(0).second;
}

using Ends = std::vector<std::pair<int, int>>;

TEST(FlushGuard, AFailedFlushIsNotForgottenByTheNextOne) {
    std::string warned;
    Guard guard("disk.img", [&](const std::string& text) { warned += text; });
    EXPECT_EQ(run_flush(guard, 0), 0);
    EXPECT_EQ(run_flush(guard, EIO), EIO);
    EXPECT_THAT(warned, testing::HasSubstr("disk 'disk.img'"));
    warned.clear();
    EXPECT_EQ(run_flush(guard, 0), EIO);
    EXPECT_EQ(warned, "") << "once is enough";
}

TEST(FlushGuard, ALaterFlushIsNotToldOkBeforeTheErrorOfAnEarlierOneIsKnown) {
    Guard guard;
    const FlushTicket first = guard.begin(true, false);
    const FlushTicket second = guard.begin(true, false);
    guard.end(second, 0, 2);
    EXPECT_EQ(told(guard), Ends{});
    guard.end(first, EIO, 1);
    EXPECT_EQ(told(guard), (Ends{{2, EIO}, {1, EIO}}));
}

TEST(FlushGuard, AForcedWriteMayTakeTheErrorOfAFlushAndOfAnotherWrite) {
    Guard guard;
    const FlushTicket flush = guard.begin(true, false);
    const FlushTicket taker = guard.begin(false, true);
    const FlushTicket other = guard.begin(false, true);
    guard.end(flush, 0, 1);
    guard.end(other, 0, 2);
    EXPECT_EQ(told(guard), Ends{});
    guard.end(taker, EIO, 3);
    EXPECT_EQ(told(guard), (Ends{{1, EIO}, {2, EIO}, {3, EIO}}));
    EXPECT_EQ(run_forced_write(guard, 0), 0) << "what was written after the error is no part of it";
}

TEST(FlushGuard, WhatBeginsAfterTheEndOfAnotherDoesNotHoldIt) {
    Guard guard;
    const FlushTicket beside = guard.begin(true, false);
    guard.end(guard.begin(true, false), 0, 1);
    const FlushTicket later = guard.begin(true, false);
    guard.end(beside, 0, 2);
    EXPECT_EQ(told(guard), (Ends{{1, 0}})) << "one that begins again and again would hold it for ever";
    guard.end(later, 0, 3);
    EXPECT_EQ(told(guard), (Ends{{2, 0}, {3, 0}}));
}

TEST(FlushGuard, OtherRequestsHaveNoTicket) {
    Guard guard;
    EXPECT_EQ(guard.begin(false, false).order, 0u);
    EXPECT_NE(guard.begin(true, false).order, 0u);
    EXPECT_NE(guard.begin(false, true).order, 0u);
}

TEST(FlushGuard, OnlyWhatLosesDataCounts) {
    Guard guard;
    EXPECT_EQ(run_forced_write(guard, ENOSPC), ENOSPC);
    EXPECT_EQ(run_flush(guard, ESHUTDOWN), ESHUTDOWN) << "a server that goes has not tried";
    EXPECT_EQ(run_flush(guard, 0), 0);
    EXPECT_EQ(run_forced_write(guard, EIO), EIO);
    EXPECT_EQ(run_flush(guard, 0), EIO);
}

TEST(FlushGuard, OfALostConnectionAllThatWaitedIsCarriedOutAgain) {
    Guard guard;
    static_cast<void>(guard.begin(true, false));
    guard.end(guard.begin(true, false), 0, 7);
    EXPECT_EQ(guard.give_up(), std::vector<int>{7});
    EXPECT_EQ(told(guard), Ends{});
    EXPECT_EQ(run_flush(guard, 0), 0);
}

int run_flush(Disk& disk) {
    const DiskRequest request{.operation = DiskOperation::flush};
    disk.submit({&request, 1});
    DiskCompletion completion;
    while (disk.reap({&completion, 1}) == 0) ::usleep(100);
    return completion.error;
}

/// The descriptor of this process that has the file open.
int descriptor_of(const std::string& path) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry, gone) == path) return std::stoi(entry.path().filename());
    }
    return -1;
}

TEST(FlushGuard, ABackEndAsksIt) {
    const TemporaryFile file(4096);
    std::string warned;
    const auto disk =
        open_disk({.path = file.path(), .warn = [&](const std::string& text) { warned += text; }},
                  DiskBackend::threads);
    ASSERT_TRUE(disk);
    EXPECT_EQ(run_flush(**disk), 0);
    const int own = descriptor_of(std::filesystem::canonical(file.path()));
    ASSERT_GE(own, 0);
    // A pipe cannot be flushed.
    const int kept = ::dup(own);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_EQ(::dup2(ends[1], own), own);
    EXPECT_NE(run_flush(**disk), 0);
    ASSERT_EQ(::dup2(kept, own), own);
    for (const int fd : {kept, ends[0], ends[1]}) ::close(fd);
    EXPECT_NE(run_flush(**disk), 0);
    EXPECT_THAT(warned, testing::HasSubstr(file.path()));
}

}  // namespace
}  // namespace exo::vmm
