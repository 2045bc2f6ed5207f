#include "session.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace exo::box {
namespace {

constexpr size_t chunk = 32768;
constexpr size_t unsent_limit = 8 * chunk;  // beyond it the command waits for the host
constexpr char end_of_file = 4;             // Ctrl-D, what a terminal takes for the end of input

template <typename T>
T value_of(const Frame& frame) {
    T value{};
    if (frame.payload.size() == sizeof value) std::memcpy(&value, frame.payload.data(), sizeof value);
    return value;
}

}  // namespace

std::optional<int> Session::run() {
    take_frames();  // what came along with the request
    while (!status_) {
        if (!step()) return std::nullopt;
    }
    drain();
    return status_;
}

bool Session::step() {
    const bool room = channel_.unsent() < unsent_limit;
    const bool feeding = command_.input >= 0 && !input_.empty();
    std::array<pollfd, 5> watched{{
        {channel_.descriptor(), static_cast<short>(channel_.unsent() > 0 ? POLLIN | POLLOUT : POLLIN), 0},
        {deaths_, POLLIN, 0},
        {room ? command_.output : -1, POLLIN, 0},
        {room ? command_.errors : -1, POLLIN, 0},
        {feeding ? command_.input : -1, POLLOUT, 0},
    }};
    if (poll(watched.data(), watched.size(), -1) < 0) return errno == EINTR;
    if (watched[0].revents & POLLHUP) return false;
    if (watched[0].revents & POLLIN) {
        if (!channel_.fill()) return false;
        take_frames();
    }
    if (watched[2].revents) relay(command_.output, Message::output);
    if (watched[3].revents) relay(command_.errors, Message::errors);
    if (watched[4].revents) feed();
    if (watched[1].revents) reap();
    return channel_.flush();
}

void Session::take_frames() {
    while (const auto frame = channel_.next()) handle(*frame);
}

void Session::handle(const Frame& frame) {
    switch (frame.message) {
        case Message::input:
            input_ += frame.payload;
            feed();
            break;
        case Message::input_end:
            input_ended_ = true;
            if (terminal_) input_ += end_of_file;
            feed();
            break;
        case Message::window: {
            const auto cells = value_of<std::array<unsigned short, 2>>(frame);
            const winsize size{cells[0], cells[1], 0, 0};
            if (terminal_) ioctl(command_.output, TIOCSWINSZ, &size);
            break;
        }
        case Message::signal:
            kill(-command_.process, static_cast<int>(value_of<uint32_t>(frame)));
            break;
        default:
            break;
    }
}

void Session::feed() {
    if (command_.input < 0) {  // the command closed its input: nobody will read what still comes
        channel_.send(Message::consumed, static_cast<uint32_t>(input_.size()));
        input_.clear();
        return;
    }
    if (!input_.empty()) {
        const ssize_t taken = write(command_.input, input_.data(), input_.size());
        if (taken > 0) {
            input_.erase(0, static_cast<size_t>(taken));
            channel_.send(Message::consumed, static_cast<uint32_t>(taken));
        } else if (errno != EAGAIN && errno != EINTR) {
            stop_feeding();
            feed();
        }
    }
    if (input_ended_ && input_.empty()) stop_feeding();
}

void Session::stop_feeding() {
    if (!terminal_ && command_.input >= 0) close(command_.input);
    command_.input = -1;
}

void Session::relay(int& source, Message message) {
    std::array<char, chunk> bytes;
    const ssize_t got = read(source, bytes.data(), bytes.size());
    if (got > 0) {
        channel_.send(message, std::string_view(bytes.data(), static_cast<size_t>(got)));
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        source = -1;  // end of output; a terminal says EIO when its last user has gone
    }
}

void Session::reap() {
    signalfd_siginfo ignored;
    while (read(deaths_, &ignored, sizeof ignored) > 0) {
    }
    int how = 0;
    for (pid_t process = waitpid(-1, &how, WNOHANG); process > 0; process = waitpid(-1, &how, WNOHANG)) {
        if (process == command_.process) status_ = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    }
}

void Session::drain() {
    for (auto [source, message] :
         {std::pair(command_.output, Message::output), std::pair(command_.errors, Message::errors)}) {
        size_t before = 0;
        do {
            if (source < 0) break;
            before = channel_.unsent();
            relay(source, message);
        } while (channel_.unsent() > before);
    }
}

}  // namespace exo::box
