#include "vmm/cli/terminal.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <functional>

namespace exo::vmm {
namespace {

bool is_raw(const termios& mode) {
    return (mode.c_lflag & (ICANON | ECHO | ISIG)) == 0;
}

termios mode_of(int fd) {
    termios mode{};
    ::tcgetattr(fd, &mode);
    return mode;
}

/// Runs `body` in a process of its own whose standard input is a terminal. Gives its wait status, and the
/// terminal's mode after it.
struct OnTerminal {
    int master = -1;
    int slave = -1;
    int status = -1;
    termios after{};

    explicit OnTerminal(const std::function<int()>& body) {
        EXPECT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            ::dup2(slave, STDIN_FILENO);
            ::_exit(body());
        }
        ::waitpid(child, &status, 0);
        after = mode_of(slave);
    }
    OnTerminal(const OnTerminal&) = delete;
    OnTerminal& operator=(const OnTerminal&) = delete;
    ~OnTerminal() {
        ::close(master);
        ::close(slave);
    }
};

TEST(RawTerminal, IsRawWhileItLivesAndRestoredAfter) {
    const OnTerminal run([] {
        int failures = 0;
        {
            const RawTerminal terminal;
            failures += terminal.active() && is_raw(mode_of(STDIN_FILENO)) ? 0 : 1;
            failures += (mode_of(STDIN_FILENO).c_oflag & OPOST) != 0 ? 0 : 2;
        }
        return failures + (is_raw(mode_of(STDIN_FILENO)) ? 4 : 0);
    });
    EXPECT_TRUE(WIFEXITED(run.status));
    EXPECT_EQ(WEXITSTATUS(run.status), 0);
    EXPECT_FALSE(is_raw(run.after));
}

TEST(RawTerminal, IsRestoredByACrash) {
    const OnTerminal run([]() -> int {
        const RawTerminal terminal;
        ::raise(SIGSEGV);
        return 0;
    });
    EXPECT_TRUE(WIFSIGNALED(run.status)) << "the crash is still one";
    EXPECT_EQ(WTERMSIG(run.status), SIGSEGV);
    EXPECT_FALSE(is_raw(run.after));
}

TEST(RawTerminal, LeavesAPipeAlone) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[0], STDIN_FILENO);
        ::_exit(RawTerminal().active() ? 1 : 0);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    ::close(ends[0]);
    ::close(ends[1]);
}

}  // namespace
}  // namespace exo::vmm
