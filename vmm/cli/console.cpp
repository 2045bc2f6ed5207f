#include "vmm/cli/console.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace exo::vmm {
namespace {

/// A terminal or pipe that polls writable takes this much without blocking.
constexpr std::size_t chunk = 256;

constexpr char help[] =
    "\nvmm: Ctrl-A x  end the machine\n"
    "     Ctrl-A s  take a snapshot\n"
    "     Ctrl-A h  this help\n"
    "     Ctrl-A Ctrl-A  send Ctrl-A\n";

enum Slot : std::size_t { machine_ended, woken, signalled, writable, readable, slots };

}  // namespace

void Console::guest_ready() {
    guest_ready_ = true;
    wake_.signal();
}

void Console::call_attention() {
    attention_ = true;
    wake_.signal();
}

void Console::attach(Serial& serial) {
    guest_ready_ = false;
    serial.set_input_drained([this] { wake_.signal(); });
    serial.set_input_awaited([this] { guest_ready(); });
}

Console::Outcome Console::serve(Serial& serial, int ended_fd) {
    std::array<pollfd, slots> polled{};
    polled[machine_ended] = {ended_fd, POLLIN, 0};
    polled[woken] = {wake_.get(), POLLIN, 0};
    polled[signalled] = {signals_.fd(), POLLIN, 0};
    for (;;) {
        polled[writable] = {output_.empty() ? -1 : STDOUT_FILENO, POLLOUT, 0};
        polled[readable] = {wants_input() ? STDIN_FILENO : -1, POLLIN, 0};
        ::poll(polled.data(), polled.size(), -1);
        wake_.drain();
        if (signals_.take_continued()) terminal_.set_again();
        if (signals_.end_requested()) return Outcome::signal;
        if (polled[writable].revents != 0 && !write_output(serial)) return Outcome::no_output;
        if (polled[readable].revents != 0) read_input();
        if (quit_) return Outcome::quit;
        hand_over_input(serial);
        if (attention_.exchange(false)) return Outcome::attention;
        if (std::exchange(snapshot_, false) || signals_.take_snapshot_asked()) return Outcome::snapshot;
        if (polled[machine_ended].revents != 0) return Outcome::ended;
    }
}

/// Standard input is read only as fast as the guest takes it, so a pipe keeps the rest.
bool Console::wants_input() const {
    return input_open_ && input_.empty() && (terminal_.active() || guest_ready_);
}

void Console::read_input() {
    std::array<std::byte, chunk> bytes;
    const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) {
        input_open_ = false;
        return;
    }
    const std::span typed(bytes.data(), static_cast<std::size_t>(got));
    if (!terminal_.active()) {
        input_.assign(typed.begin(), typed.end());
        return;
    }
    switch (escape_.filter(typed, input_)) {
        case EscapeFilter::Action::quit:
            quit_ = true;
            break;
        case EscapeFilter::Action::snapshot:
            snapshot_ = true;
            break;
        case EscapeFilter::Action::help:
            std::fputs(help, stderr);
            break;
        case EscapeFilter::Action::none:
            break;
    }
}

void Console::hand_over_input(Serial& serial) {
    if (input_.empty()) return;
    const std::size_t taken = serial.receive(input_);
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
}

bool Console::write_output(Serial& serial) {
    const bool written = write_chunk();
    if (output_.take_room_made()) serial.output_ready();
    return written;
}

bool Console::write_chunk() {
    const std::vector<std::byte> bytes = output_.take(chunk);
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t put = ::write(STDOUT_FILENO, bytes.data() + done, bytes.size() - done);
        if (put >= 0) {
            done += static_cast<std::size_t>(put);
        } else if (errno == EAGAIN) {
            pollfd room{STDOUT_FILENO, POLLOUT, 0};
            ::poll(&room, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
        if (signals_.end_requested()) return true;
    }
    return true;
}

Console::Outcome Console::drain() {
    while (!output_.empty()) {
        if (!write_chunk()) return Outcome::no_output;
        if (signals_.end_requested()) return Outcome::signal;
    }
    return Outcome::ended;
}

}  // namespace exo::vmm
