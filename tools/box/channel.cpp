#include "channel.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace exo::box {
namespace {

constexpr size_t header_size = 8;

bool would_block() {
    return errno == EAGAIN || errno == EINTR;
}

}  // namespace

void Channel::send(Message message, std::string_view payload) {
    const auto length = static_cast<uint32_t>(payload.size());
    char header[header_size] = {static_cast<char>(message)};
    std::memcpy(header + 4, &length, sizeof length);
    out_.append(header, sizeof header).append(payload);
}

void Channel::send(Message message, uint32_t value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    send(message, std::string_view(bytes, sizeof bytes));
}

bool Channel::flush(bool all) {
    while (!out_.empty()) {
        const ssize_t written = write(descriptor_, out_.data(), out_.size());
        if (written > 0) {
            out_.erase(0, static_cast<size_t>(written));
        } else if (!would_block()) {
            return false;
        } else if (!all) {
            return true;
        } else {
            pollfd port{descriptor_, POLLOUT, 0};
            poll(&port, 1, -1);
            if (port.revents & POLLHUP) return false;
        }
    }
    return true;
}

bool Channel::fill() {
    char bytes[32768];
    const ssize_t got = read(descriptor_, bytes, sizeof bytes);
    if (got > 0) in_.append(bytes, static_cast<size_t>(got));
    return got > 0 || (got < 0 && would_block());
}

std::optional<Frame> Channel::next() {
    if (in_.size() < header_size) return std::nullopt;
    uint32_t length = 0;
    std::memcpy(&length, in_.data() + 4, sizeof length);
    if (length > longest_payload || in_.size() < header_size + length) return std::nullopt;
    Frame frame{static_cast<Message>(in_[0]), in_.substr(header_size, length)};
    in_.erase(0, header_size + length);
    return frame;
}

}  // namespace exo::box
