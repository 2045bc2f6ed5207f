#include "vmm/storage/transfer.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace exo::vmm {
namespace {

/// A kernel that is short of memory says EAGAIN for a while; one that says it for ever is an I/O error.
constexpr unsigned retry_limit = 1000;

bool is_aligned(std::span<const iovec> segments, const DirectAlignment& alignment) {
    return std::ranges::all_of(segments, [&](const iovec& segment) {
        return reinterpret_cast<std::uintptr_t>(segment.iov_base) % alignment.memory == 0 &&
               segment.iov_len % alignment.disk == 0;
    });
}

}  // namespace

void Transfer::begin(const DiskRequest& request, const DirectAlignment& alignment) {
    operation_ = request.operation;
    fua_ = request.fua;
    flushed_ = false;
    error_ = 0;
    retries_ = 0;
    offset_ = request.offset;
    done_ = 0;
    cookie_ = request.cookie;
    first_ = 0;
    segments_.assign(request.segments.begin(), request.segments.end());
    guest_segments_.clear();
    total_ = 0;
    for (const iovec& segment : segments_) total_ += segment.iov_len;
    if (!is_aligned(segments_, alignment)) bounce(alignment);
}

void Transfer::bounce(const DirectAlignment& alignment) {
    const std::size_t boundary = std::max<std::size_t>(alignment.memory, 4096);
    const std::size_t size = (total_ + boundary - 1) / boundary * boundary;
    buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(boundary, size)));
    if (!buffer_) {
        error_ = ENOMEM;
        return;
    }
    guest_segments_.swap(segments_);
    segments_.assign(1, iovec{buffer_.get(), total_});
    if (operation_ != DiskOperation::write) return;
    std::byte* to = buffer_.get();
    for (const iovec& segment : guest_segments_) {
        std::memcpy(to, segment.iov_base, segment.iov_len);
        to += segment.iov_len;
    }
}

std::span<iovec> Transfer::rest() {
    return std::span(segments_).subspan(first_, std::min<std::size_t>(segments_.size() - first_, IOV_MAX));
}

void Transfer::advance(ssize_t result) {
    if (result == -EINTR || result == -EAGAIN) {
        if (++retries_ == retry_limit) error_ = EIO;
    } else if (result < 0) {
        error_ = static_cast<int>(-result);
    } else if (operation_ == DiskOperation::flush) {
        flushed_ = true;
    } else if (result == 0) {
        error_ = EIO;  // the disk became shorter under us
    } else {
        skip(std::min(static_cast<std::uint64_t>(result), total_ - done_));
    }
}

void Transfer::skip(std::uint64_t bytes) {
    done_ += bytes;
    while (bytes > 0) {
        iovec& segment = segments_[first_];
        const std::uint64_t step = std::min<std::uint64_t>(bytes, segment.iov_len);
        segment.iov_base = static_cast<std::byte*>(segment.iov_base) + step;
        segment.iov_len -= step;
        bytes -= step;
        if (segment.iov_len == 0) ++first_;
    }
}

DiskCompletion Transfer::finish() {
    if (buffer_ && operation_ == DiskOperation::read && error_ == 0) {
        const std::byte* from = buffer_.get();
        for (const iovec& segment : guest_segments_) {
            std::memcpy(segment.iov_base, from, segment.iov_len);
            from += segment.iov_len;
        }
    }
    buffer_.reset();
    return {cookie_, error_, done_};
}

}  // namespace exo::vmm
