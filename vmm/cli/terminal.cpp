#include "vmm/cli/terminal.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>

namespace exo::vmm {
namespace {

constexpr std::array crash_signals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

termios original{};
std::atomic<bool> raw_now = false;

void restore() {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &original);
}

void restore_and_die(int signal) {
    restore();
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

void handle_crashes(void (*handler)(int)) {
    for (const int signal : crash_signals) {
        struct sigaction action{};
        action.sa_handler = handler;
        ::sigaction(signal, &action, nullptr);
    }
}

}  // namespace

RawTerminal::RawTerminal() {
    if (::isatty(STDIN_FILENO) == 0 || ::tcgetattr(STDIN_FILENO, &original) != 0) return;
    active_ = raw_now = true;
    handle_crashes(restore_and_die);
    set_again();
}

RawTerminal::~RawTerminal() {
    if (!active_) return;
    raw_now = false;
    restore();
    handle_crashes(SIG_DFL);
}

void RawTerminal::restore_now() {
    if (raw_now) restore();
}

void RawTerminal::set_again() const {
    if (!active_) return;
    termios raw = original;
    ::cfmakeraw(&raw);
    raw.c_oflag |= OPOST | ONLCR;  // messages of vmm itself end in a plain newline
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

}  // namespace exo::vmm
