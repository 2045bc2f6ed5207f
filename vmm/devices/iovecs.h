#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace exo::vmm {

/// Buffers of a guest, one after the other, as a device sees them: where the driver cuts them means nothing.
inline std::uint64_t total_bytes(std::span<const iovec> buffers) {
    std::uint64_t total = 0;
    for (const iovec& buffer : buffers) total += buffer.iov_len;
    return total;
}

/// Copies the first bytes out and takes them off. False when there are not as many.
inline bool take_front(std::vector<iovec>& buffers, std::span<std::byte> into) {
    std::size_t used = 0;
    while (!into.empty() && used < buffers.size()) {
        iovec& buffer = buffers[used];
        const std::size_t step = std::min(into.size(), buffer.iov_len);
        std::memcpy(into.data(), buffer.iov_base, step);
        into = into.subspan(step);
        buffer.iov_base = static_cast<std::byte*>(buffer.iov_base) + step;
        buffer.iov_len -= step;
        if (buffer.iov_len == 0) ++used;
    }
    buffers.erase(buffers.begin(), buffers.begin() + static_cast<std::ptrdiff_t>(used));
    return into.empty();
}

/// Takes the last byte off; null when there is none.
inline std::byte* take_last(std::vector<iovec>& buffers) {
    if (buffers.empty()) return nullptr;
    iovec& last = buffers.back();
    std::byte* const byte = static_cast<std::byte*>(last.iov_base) + --last.iov_len;
    if (last.iov_len == 0) buffers.pop_back();
    return byte;
}

/// Copies as much as fits; returns how much.
inline std::size_t copy_to(std::span<const iovec> buffers, std::span<const std::byte> bytes) {
    std::size_t done = 0;
    for (const iovec& buffer : buffers) {
        const std::size_t step = std::min(bytes.size() - done, buffer.iov_len);
        std::memcpy(buffer.iov_base, bytes.data() + done, step);
        done += step;
    }
    return done;
}

}  // namespace exo::vmm
