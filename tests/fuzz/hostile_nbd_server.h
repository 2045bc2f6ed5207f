#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/file_descriptor.h"

namespace exo::fuzz {

/// A socket in a folder of its own, for as long as the process lives.
class Listener {
  public:
    Listener() : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        require(::mkdtemp(folder_.data()) != nullptr);
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        std::strncpy(address.sun_path, path().c_str(), sizeof(address.sun_path) - 1);
        require(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
        require(::listen(socket_.get(), 8) == 0);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() {
        ::unlink(path().c_str());
        ::rmdir(folder_.c_str());
    }
    std::string path() const { return folder_ + "/socket"; }
    int fd() const { return socket_.get(); }
    vmm::FileDescriptor accept() const {
        return vmm::FileDescriptor(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }

  private:
    std::string folder_ = "/tmp/exo-nbd-fuzz-XXXXXX";
    vmm::FileDescriptor socket_;
};

/// An NBD server (github.com/NetworkBlockDevice/nbd, doc/proto.md) whose every message is the input's to
/// change, hold back, repeat or break off. Once the input is used up it is an honest one.
class HostileNbdServer {
  public:
    static constexpr std::uint64_t disk_size = 64 * 1024;

    HostileNbdServer(const Listener& listener, Input input)
        : listener_(listener), input_(input), flags_(input_.take<std::uint8_t>() | 1) {
        misgreets_ = input_.take<std::uint8_t>() % 4 == 3;
        while (listener_.accept().get() >= 0) continue;  // left over from the last one
        thread_ = std::jthread([this] { serve(); });
    }
    ~HostileNbdServer() { stop_.signal(); }
    HostileNbdServer(const HostileNbdServer&) = delete;
    HostileNbdServer& operator=(const HostileNbdServer&) = delete;

  private:
    struct Command {
        std::uint16_t type = 0;
        std::uint64_t cookie = 0;
        std::uint64_t offset = 0;
        std::uint32_t length = 0;
    };

    /// Big-endian, as all of the protocol.
    class Message {
      public:
        template <typename T>
        Message& add(T value) {
            const T swapped = std::byteswap(value);
            const auto* const from = reinterpret_cast<const std::byte*>(&swapped);
            bytes.insert(bytes.end(), from, from + sizeof(T));
            return *this;
        }
        std::vector<std::byte> bytes;
    };

    void serve() {
        for (;;) {
            pollfd watched[] = {{stop_.get(), POLLIN, 0},
                                {client_.get() < 0 ? listener_.fd() : client_.get(), POLLIN, 0}};
            constexpr int pause_ms = 2;  // then the client waits for what was held back
            if (::poll(watched, 2, pause_ms) < 0) return;
            if (watched[0].revents != 0) return;
            if (watched[1].revents == 0)
                release();
            else if (client_.get() < 0)
                greet();
            else if (!take_command())
                hang_up();
        }
    }

    void hang_up() {
        client_ = {};
        held_.clear();
        is_structured_ = is_spoiled_ = is_greeted_ = false;
        refuses_ = !input_.empty() && input_.take<std::uint8_t>() % 4 == 3;
    }
    /// Nobody says anything: what was held back goes out, and where the client waits for more of a broken
    /// message, it waits no longer.
    void release() {
        if (client_.get() < 0) return;
        if (is_spoiled_) return hang_up();
        for (const Command& command : std::exchange(held_, {})) answer(command, 0);
    }

    template <typename T>
    bool receive(T& value) {
        if (!receive_bytes(std::as_writable_bytes(std::span(&value, 1)))) return false;
        value = std::byteswap(value);
        return true;
    }
    bool receive_bytes(std::span<std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t got = ::recv(client_.get(), bytes.data(), bytes.size(), 0);
            if (got <= 0) return false;
            bytes = bytes.subspan(static_cast<std::size_t>(got));
        }
        return true;
    }
    bool skip(std::size_t count) {
        std::vector<std::byte> ignored(std::min<std::size_t>(count, 1 << 21));
        return receive_bytes(ignored);
    }
    /// False when the connection is to be closed.
    bool send(Message message) {
        const bool is_honest = input_.empty() || (!is_greeted_ && !misgreets_);
        const auto how = is_honest ? std::uint8_t{0} : input_.take<std::uint8_t>();
        if (how >= 0xe0) {
            is_spoiled_ = true;
            const auto where = input_.take<std::uint16_t>() % message.bytes.size();
            if (how >= 0xf8)
                message.bytes.resize(where);
            else
                message.bytes[where] ^= input_.take<std::byte>();
        }
        const std::size_t size = message.bytes.size();
        const ssize_t sent = ::send(client_.get(), message.bytes.data(), size, MSG_NOSIGNAL);
        return how < 0xf8 && sent == static_cast<ssize_t>(size);
    }

    void greet() {
        client_ = listener_.accept();
        if (client_.get() < 0) return;
        const timeval patience{.tv_sec = 0, .tv_usec = 20'000};
        ::setsockopt(client_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        is_greeted_ = !std::exchange(refuses_, false) && negotiate();
        if (!is_greeted_) hang_up();
    }
    bool negotiate() {
        constexpr std::uint64_t magic = 0x4e42'444d'4147'4943;
        constexpr std::uint64_t have_options = 0x4948'4156'454f'5054;
        constexpr std::uint16_t fixed_new_style_without_zeroes = 3;
        std::uint32_t client_flags = 0;
        if (!send(Message().add(magic).add(have_options).add(fixed_new_style_without_zeroes))) return false;
        if (!receive(client_flags)) return false;
        for (;;) {
            std::uint64_t option_magic = 0;
            std::uint32_t option = 0;
            std::uint32_t length = 0;
            if (!receive(option_magic) || !receive(option) || !receive(length) || !skip(length)) return false;
            constexpr std::uint32_t go = 7, structured_reply = 8, acknowledged = 1, info = 3;
            constexpr std::uint32_t unsupported = 0x8000'0001;
            if (option == structured_reply) is_structured_ = true;
            if (option == go) {
                constexpr std::uint16_t export_info = 0, block_size_info = 3;
                const Message is{Message().add(export_info).add(disk_size).add(flags_)};
                const Message blocks{Message().add(block_size_info).add(512u).add(4096u).add(1u << 25)};
                return send(reply(option, info, is)) && send(reply(option, info, blocks)) &&
                       send(reply(option, acknowledged, {}));
            }
            if (!send(reply(option, option == structured_reply ? acknowledged : unsupported, {})))
                return false;
        }
    }
    static Message reply(std::uint32_t option, std::uint32_t type, const Message& data) {
        constexpr std::uint64_t magic = 0x0003'e889'0455'65a9;
        Message message;
        message.add(magic).add(option).add(type).add(static_cast<std::uint32_t>(data.bytes.size()));
        message.bytes.insert(message.bytes.end(), data.bytes.begin(), data.bytes.end());
        return message;
    }

    static constexpr std::uint16_t type_read = 0;
    static constexpr std::uint16_t type_write = 1;
    static constexpr std::uint16_t type_disconnect = 2;

    bool take_command() {
        std::uint32_t magic = 0;
        std::uint16_t flags = 0;
        Command command;
        const bool whole = receive(magic) && receive(flags) && receive(command.type) &&
                           receive(command.cookie) && receive(command.offset) && receive(command.length);
        if (!whole || command.type == type_disconnect) return false;
        require(magic == 0x2560'9513 && command.length <= disk_size);
        require(command.offset <= disk_size && command.length <= disk_size - command.offset);
        if (command.type == type_write && !skip(command.length)) return false;
        return input_.empty() ? answer(command, 0) : misbehave(command);
    }

    bool misbehave(Command command) {
        const auto how = input_.take<std::uint8_t>();
        switch (how % 16) {
            case 0:  // one of the errors that the protocol has, or none
                return answer(command, input_.take<std::uint8_t>() % 128u);
            case 1:
            case 2:
            case 3:
                held_.push_back(command);
                return true;
            case 4:
            case 5:  // another order
                held_.push_front(command);
                for (const Command& one : std::exchange(held_, {}))
                    if (!answer(one, 0)) return false;
                return true;
            case 6:  // what was not asked
                is_spoiled_ = true;
                return answer({command.type, command.cookie + how, command.offset, command.length}, 0);
            case 7:  // twice
                is_spoiled_ = true;
                return answer(command, 0) && answer(command, 0);
            case 8:
                return false;
            case 9:
            case 10:
                return send_odd_chunk(command);
            case 11: {  // noise
                is_spoiled_ = true;
                Message noise;
                for (int i = 0; i < 4; ++i) noise.add(input_.take<std::uint32_t>());
                return send(std::move(noise));
            }
            default:
                return answer(command, 0);
        }
    }

    static constexpr std::uint32_t simple_magic = 0x6744'6698;
    static constexpr std::uint32_t chunk_magic = 0x668e'33ef;

    bool answer(const Command& command, std::uint32_t error) {
        const bool has_data = command.type == type_read && error == 0;
        Message message;
        if (!is_structured_) {
            message.add(simple_magic).add(error).add(command.cookie);
        } else if (has_data) {
            constexpr std::uint16_t done = 1, offset_data = 1;
            message.add(chunk_magic).add(done).add(offset_data).add(command.cookie);
            message.add(command.length + 8).add(command.offset);
        } else {
            constexpr std::uint16_t done = 1, none = 0, error_chunk = 0x8001;
            message.add(chunk_magic).add(done).add(error == 0 ? none : error_chunk).add(command.cookie);
            message.add(error == 0 ? 0u : 6u);
            if (error != 0) message.add(error).add(std::uint16_t{0});
        }
        if (has_data) message.bytes.resize(message.bytes.size() + command.length, std::byte{0x5a});
        return send(std::move(message));
    }
    /// Of a kind, place and length that nobody expects, and perhaps more to follow.
    bool send_odd_chunk(const Command& command) {
        is_spoiled_ = true;
        const auto kind = input_.take<std::uint16_t>();
        const auto length = input_.take<std::uint8_t>();
        Message message;
        message.add(chunk_magic).add(static_cast<std::uint16_t>(kind & 1));
        message.add(static_cast<std::uint16_t>(kind >> 1)).add(command.cookie);
        message.add(std::uint32_t{length}).add(command.offset + input_.take<std::uint16_t>());
        message.bytes.resize(message.bytes.size() + std::max<std::size_t>(length, 8) - 8);
        return send(std::move(message));
    }

    const Listener& listener_;
    Input input_;
    std::uint16_t flags_;
    vmm::EventFd stop_ = std::move(*vmm::EventFd::create());
    vmm::FileDescriptor client_;
    bool misgreets_ = false;  ///< changes what it says before the first command, too
    bool refuses_ = false;    ///< the next connection
    bool is_greeted_ = false;
    bool is_structured_ = false;
    bool is_spoiled_ = false;  ///< the client may wait for what will not come
    std::deque<Command> held_;
    std::jthread thread_;
};

}  // namespace exo::fuzz
