#include "vmm/storage/flush_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/unit/storage/temporary_file.h"
#include "vmm/storage/open_disk.h"

namespace exo::vmm {
namespace {

using test::TemporaryFile;

constexpr DiskCompletion ok{};
constexpr DiskCompletion io_error{.error = EIO};

TEST(FlushGuard, AFailedFlushIsNotForgottenByTheNextOne) {
    std::string told;
    FlushGuard guard("disk.img", [&](const std::string& text) { told += text; });
    EXPECT_EQ(guard.judge(DiskOperation::flush, false, ok).error, 0);
    EXPECT_EQ(guard.judge(DiskOperation::flush, false, io_error).error, EIO);
    EXPECT_THAT(told, testing::HasSubstr("disk 'disk.img'"));
    told.clear();
    EXPECT_EQ(guard.judge(DiskOperation::flush, false, ok).error, EIO);
    EXPECT_EQ(told, "") << "once is enough";
}

TEST(FlushGuard, OtherRequestsGoOn) {
    FlushGuard guard;
    guard.judge(DiskOperation::flush, false, io_error);
    EXPECT_EQ(guard.judge(DiskOperation::read, false, ok).error, 0);
    EXPECT_EQ(guard.judge(DiskOperation::write, true, ok).error, 0);
}

TEST(FlushGuard, OnlyWhatLosesDataCounts) {
    FlushGuard guard;
    guard.judge(DiskOperation::write, false, io_error);
    guard.judge(DiskOperation::read, false, io_error);
    guard.judge(DiskOperation::write, true, {.error = ENOSPC});
    EXPECT_EQ(guard.judge(DiskOperation::flush, false, ok).error, 0);
    guard.judge(DiskOperation::write, true, io_error);
    EXPECT_EQ(guard.judge(DiskOperation::flush, false, ok).error, EIO);
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
    std::string told;
    const auto disk = open_disk({.path = file.path(), .warn = [&](const std::string& text) { told += text; }},
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
    EXPECT_THAT(told, testing::HasSubstr(file.path()));
}

}  // namespace
}  // namespace exo::vmm
