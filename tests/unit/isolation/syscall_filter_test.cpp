#include "vmm/isolation/syscall_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

namespace exo::vmm {
namespace {

const auto killed_by_the_filter = testing::KilledBySignal(SIGSYS);

/// In a process of its own: a filter stays.
[[noreturn]] void confined(bool network, const std::function<bool()>& act) {
    report_denied_calls(nullptr);
    if (!confine_process(network)) ::_exit(100);
    ::_exit(act() ? 0 : 1);
}
[[noreturn]] void confined_as(ThreadKind kind, const std::function<bool()>& act) {
    confined(false, [&] {
        bool done = false;
        std::thread([&] { done = confine_thread(kind) && act(); }).join();
        return done;
    });
}
bool is_readable(const char* path) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    char byte = 0;
    return fd >= 0 && ::read(fd, &byte, 1) == 1;
}
bool map(int protection) {
    return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

TEST(SyscallFilterTest, AProcessKeepsFilesThreadsAndMemory) {
    EXPECT_EXIT(confined(false,
                         [] {
                             bool on_thread = false;
                             std::thread([&] { on_thread = is_readable("/proc/self/maps"); }).join();
                             return on_thread && map(PROT_READ | PROT_WRITE);
                         }),
                testing::ExitedWithCode(0), "");
}

TEST(SyscallFilterTest, AProcessStartsNoProgram) {
    const auto start = [] { return ::execl("/bin/true", "true", nullptr) == 0; };
    EXPECT_EXIT(confined(false, start), killed_by_the_filter, "made system call 59");
    EXPECT_EXIT(confined(true, start), killed_by_the_filter, "made system call 59");
}

TEST(SyscallFilterTest, AProcessMakesNoOtherProcess) {
    EXPECT_EXIT(confined(true, [] { return ::fork() == 0; }), killed_by_the_filter, "made system call 56");
}

TEST(SyscallFilterTest, OnlyWhoHasANetworkDiskHasSockets) {
    const auto connect = [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; };
    EXPECT_EXIT(confined(false, connect), killed_by_the_filter, "made system call 41");
    EXPECT_EXIT(confined(true, connect), testing::ExitedWithCode(0), "");
}

TEST(SyscallFilterTest, NewMemoryIsNoCode) {
    EXPECT_EXIT(confined(false, [] { return map(PROT_READ | PROT_EXEC); }), killed_by_the_filter,
                "made system call 9,");
}

TEST(SyscallFilterTest, NobodyTypesIntoTheTerminal) {
    EXPECT_EXIT(confined(false, [] { return ::ioctl(STDIN_FILENO, TIOCSTI, "x") == 0; }),
                killed_by_the_filter, "made system call 16,");
}

TEST(SyscallFilterTest, ThreadsThatWereThereBeforeAreConfinedToo) {
    const auto act = [] {
        std::atomic<bool> go = false;
        std::thread before([&] {
            go.wait(false);
            static_cast<void>(::socket(AF_UNIX, SOCK_STREAM, 0));
        });
        report_denied_calls(nullptr);
        if (!confine_process(false)) ::_exit(100);
        go = true;
        go.notify_all();
        before.join();
        ::_exit(0);
    };
    EXPECT_EXIT(act(), killed_by_the_filter, "made system call 41");
}

TEST(SyscallFilterTest, AThreadOfTheGuestOpensNoFile) {
    for (const ThreadKind kind : {ThreadKind::vcpu, ThreadKind::device})
        EXPECT_EXIT(confined_as(kind,
                                [] {
                                    const bool refused = !is_readable("/proc/self/maps") && errno == EACCES;
                                    return refused && map(PROT_READ | PROT_WRITE);
                                }),
                    testing::ExitedWithCode(0), "");
}

TEST(SyscallFilterTest, ADeviceThreadAsksNothingOfKvm) {
    constexpr unsigned long kvm_get_api_version = 0xae00;
    const auto ask = [] { return ::ioctl(-1, kvm_get_api_version) == -1 && errno == EBADF; };
    EXPECT_EXIT(confined_as(ThreadKind::vcpu, ask), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(confined_as(ThreadKind::device, ask), killed_by_the_filter, "made system call 16,");
}

TEST(SyscallFilterTest, AVcpuThreadRemovesNoFile) {
    EXPECT_EXIT(confined_as(ThreadKind::vcpu, [] { return ::unlink("/nowhere") == 0; }), killed_by_the_filter,
                "made system call 87,");
}

TEST(SyscallFilterTest, NobodySignalsAnotherProcess) {
    EXPECT_EXIT(confined(false, [] { return ::kill(::getppid(), 0) == 0; }), killed_by_the_filter,
                "made system call 62,");
}

}  // namespace
}  // namespace exo::vmm
