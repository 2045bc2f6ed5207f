// Framed messages between the box and the host, over one virtio-serial port.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace exo::box {

/// First byte of a frame. A frame is this byte, three zero bytes, a 32-bit little-endian length, and the
/// payload. tools/lib/box_session.py speaks the other side.
enum class Message : char {
    // host to box
    request = 'c',    // a Request
    input = 'i',      // bytes for standard input; at most `input_window` not yet consumed
    input_end = 'e',  // no more input
    window = 'w',     // u16 rows, u16 columns
    signal = 's',     // u32 number, for the command's process group
    // box to host
    ready = 'r',     // the box is up and waits for its request
    output = 'o',    // bytes of standard output
    errors = 'x',    // bytes of standard error
    consumed = 'a',  // u32 bytes of input that the command has taken
    status = 'q',    // u32 exit status; everything has been written and synced
    failure = 'f',   // text: why the command could not be run
};

inline constexpr uint32_t longest_payload = 4U << 20;

struct Frame {
    Message message;
    std::string payload;
};

/// Buffers both directions of a non-blocking descriptor. Does not own it.
class Channel {
  public:
    explicit Channel(int descriptor) : descriptor_(descriptor) {}

    void send(Message message, std::string_view payload = {});
    void send(Message message, uint32_t value);

    /// Moves what the port takes now, or with `all` waits until it has taken everything. False: the host is
    /// gone.
    bool flush(bool all = false);
    /// Takes what the port has now. False: the host is gone.
    bool fill();
    /// The next whole frame, if there is one.
    std::optional<Frame> next();

    size_t unsent() const { return out_.size(); }
    int descriptor() const { return descriptor_; }

  private:
    int descriptor_;
    std::string in_;
    std::string out_;
};

}  // namespace exo::box
