#include "vmm/cli/signals.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>

namespace exo::vmm {
namespace {

constexpr std::array ending = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

// A signal handler has no other way to reach anything than through globals.
std::atomic<int> end_signal = 0;
std::atomic<bool> continued = false;
std::atomic<bool> snapshot_asked = false;
std::atomic<int> event = -1;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void note(int signal) {
    const int saved = errno;
    if (signal == SIGCONT) {
        continued = true;
    } else if (signal == SIGUSR1) {
        snapshot_asked = true;
    } else {
        int none = 0;
        end_signal.compare_exchange_strong(none, signal);
    }
    ::eventfd_write(event, 1);
    errno = saved;
}

void set_handler(int signal, void (*handler)(int)) {
    struct sigaction action{};
    action.sa_handler = handler;  // without SA_RESTART: a blocked write comes back
    ::sigaction(signal, &action, nullptr);
}

}  // namespace

Result<Signals> Signals::catch_all() {
    event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0) return fail_errno("event descriptor for signals", errno, "Raise the limit (ulimit -n).");
    for (const int signal : ending) set_handler(signal, note);
    set_handler(SIGCONT, note);
    set_handler(SIGUSR1, note);
    set_handler(SIGPIPE, SIG_IGN);
    return Signals();
}

Signals::~Signals() {
    if (!owner_) return;
    for (const int signal : ending) set_handler(signal, SIG_DFL);
    set_handler(SIGCONT, SIG_DFL);
    set_handler(SIGUSR1, SIG_DFL);
    ::close(event.exchange(-1));
}

int Signals::fd() const {
    return event;
}

std::optional<int> Signals::end_requested() const {
    const int signal = end_signal;
    return signal == 0 ? std::nullopt : std::optional(signal);
}

bool Signals::take_continued() {
    eventfd_t count = 0;
    ::eventfd_read(event, &count);
    return continued.exchange(false);
}

bool Signals::take_snapshot_asked() {
    return snapshot_asked.exchange(false);
}

}  // namespace exo::vmm
