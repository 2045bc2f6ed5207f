#include "vmm/storage/open_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cstddef>

#include "tests/unit/storage/temporary_file.h"

namespace exo::vmm {
namespace {

using test::TemporaryFile;

/// From here on the process gets `number` for every io_uring call, as in a container that forbids them.
bool forbid_io_uring(int number) {
    const auto refuse = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number);
    std::array<sock_filter, 4> program = {
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        sock_filter BPF_STMT(BPF_RET | BPF_K, refuse),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{program.size(), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

enum Outcome { as_expected = 0, no_seccomp = 1, not_opened = 2, other_backend = 3, not_told = 4 };

int open_where_refused(const std::string& path, int number) {
    if (!forbid_io_uring(number)) return no_seccomp;
    if (open_disk({.path = path}, DiskBackend::io_uring)) return not_told;
    const auto disk = open_disk({.path = path});
    if (!disk) return not_opened;
    return (*disk)->description().starts_with("threads") ? as_expected : other_backend;
}

class RefusedIoUring : public testing::TestWithParam<int> {};

TEST_P(RefusedIoUring, ThreadsServeInstead) {
    const TemporaryFile file(4096);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(open_where_refused(file.path(), GetParam()));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == no_seccomp) GTEST_SKIP() << "this host has no seccomp filters";
    EXPECT_EQ(WEXITSTATUS(status), as_expected);
}

INSTANTIATE_TEST_SUITE_P(Reasons, RefusedIoUring, testing::Values(EPERM, ENOSYS, ENOMEM, EACCES));

TEST(OpenDisk, ChoosesABackendByItself) {
    const TemporaryFile file(4096);
    const auto disk = open_disk({.path = file.path()});
    ASSERT_TRUE(disk);
    EXPECT_FALSE((*disk)->description().empty());
    EXPECT_EQ((*disk)->geometry().size, 4096u);
}

TEST(OpenDisk, NamedBackend) {
    const TemporaryFile file(4096);
    const auto disk = open_disk({.path = file.path()}, DiskBackend::threads);
    ASSERT_TRUE(disk);
    EXPECT_THAT((*disk)->description(), testing::StartsWith("threads"));
}

TEST(OpenDisk, PassesTheReasonOn) {
    const auto disk = open_disk({.path = "/nonexistent"});
    ASSERT_FALSE(disk);
    EXPECT_THAT(disk.error().message(), testing::HasSubstr("/nonexistent"));
}

TEST(OpenDisk, ReadOnlyDiskRefusesWritesInTheKernelToo) {
    const TemporaryFile file(4096);
    for (const DiskBackend backend : {DiskBackend::automatic, DiskBackend::threads}) {
        const auto disk = open_disk({.path = file.path(), .read_only = true}, backend);
        ASSERT_TRUE(disk);
        EXPECT_TRUE((*disk)->geometry().read_only);
        std::array<std::byte, 512> data{};
        const iovec segment{data.data(), data.size()};
        const DiskRequest request{.operation = DiskOperation::write, .segments = {&segment, 1}};
        (*disk)->submit({&request, 1});
        DiskCompletion completion;
        while ((*disk)->reap({&completion, 1}) == 0) ::usleep(100);
        EXPECT_EQ(completion.error, EBADF);
    }
}

}  // namespace
}  // namespace exo::vmm
