#include "vmm/storage/transfer.h"

#include <fcntl.h>
#include <linux/falloc.h>

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
    may_unmap_ = request.may_unmap;
    performed_ = false;
    error_ = 0;
    retries_ = 0;
    offset_ = request.offset;
    done_ = 0;
    cookie_ = request.cookie;
    first_ = 0;
    memory_alignment_ = alignment.memory;
    segments_.assign(request.segments.begin(), request.segments.end());
    total_ = request.length;
    for (const iovec& segment : segments_) total_ += segment.iov_len;
    if (!is_aligned(segments_, alignment)) use_buffer(alignment.memory);
}

void Transfer::use_buffer(std::size_t alignment) {
    const std::size_t boundary = std::max<std::size_t>(alignment, 4096);
    buffer_size_ = static_cast<std::size_t>(std::min<std::uint64_t>(total_, buffer_limit));
    buffer_size_ = (buffer_size_ + boundary - 1) / boundary * boundary;
    buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(boundary, buffer_size_)));
    if (!buffer_) error_ = ENOMEM;
}

std::span<iovec> Transfer::rest() {
    if (!buffer_)
        return std::span(segments_).subspan(first_,
                                            std::min<std::size_t>(segments_.size() - first_, IOV_MAX));
    in_buffer_ = {buffer_.get(), std::min<std::uint64_t>(buffer_size_, total_ - done_)};
    if (operation_ == DiskOperation::write) gather(in_buffer_.iov_len);
    return {&in_buffer_, 1};
}

void Transfer::gather(std::size_t bytes) {
    std::byte* to = buffer_.get();
    for (std::size_t i = first_; i < segments_.size() && bytes > 0; ++i) {
        const std::size_t step = std::min(bytes, segments_[i].iov_len);
        std::memcpy(to, segments_[i].iov_base, step);
        to += step;
        bytes -= step;
    }
}

void Transfer::scatter(std::size_t bytes) {
    const std::byte* from = buffer_.get();
    for (std::size_t i = first_; i < segments_.size() && bytes > 0; ++i) {
        const std::size_t step = std::min(bytes, segments_[i].iov_len);
        std::memcpy(segments_[i].iov_base, from, step);
        from += step;
        bytes -= step;
    }
}

int Transfer::fallocate_mode() const {
    const bool punch = operation_ == DiskOperation::discard || may_unmap_;
    return FALLOC_FL_KEEP_SIZE | (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

void Transfer::advance(ssize_t result) {
    if (result == -EINTR || result == -EAGAIN) {
        if (++retries_ == retry_limit) error_ = EIO;
    } else if (result < 0) {
        fail_range(static_cast<int>(-result));
    } else if (!moves_data()) {
        performed_ = true;
        done_ = total_;
    } else if (result == 0) {
        error_ = EIO;  // the disk became shorter under us
    } else {
        const auto moved = std::min(static_cast<std::uint64_t>(result), total_ - done_);
        if (buffer_ && operation_ == DiskOperation::read)
            scatter(static_cast<std::size_t>(std::min<std::uint64_t>(moved, buffer_size_)));
        skip(moved);
    }
}

/// A discard is a hint, so a host that cannot punch holes has done it. Zeroes are owed.
void Transfer::fail_range(int error) {
    const bool refused = error == EOPNOTSUPP || error == ENOSYS || error == ENODEV;
    if (refused && operation_ == DiskOperation::discard) {
        performed_ = true;
        done_ = total_;
    } else if (refused && operation_ == DiskOperation::write_zeroes) {
        if (may_unmap_)
            may_unmap_ = false;
        else
            write_the_zeroes();
    } else {
        error_ = error;
    }
}

void Transfer::write_the_zeroes() {
    operation_ = DiskOperation::write;
    use_buffer(memory_alignment_);
    if (buffer_) std::memset(buffer_.get(), 0, buffer_size_);
}

void Transfer::skip(std::uint64_t bytes) {
    done_ += bytes;
    while (bytes > 0 && first_ < segments_.size()) {
        iovec& segment = segments_[first_];
        const std::uint64_t step = std::min<std::uint64_t>(bytes, segment.iov_len);
        segment.iov_base = static_cast<std::byte*>(segment.iov_base) + step;
        segment.iov_len -= step;
        bytes -= step;
        if (segment.iov_len == 0) ++first_;
    }
}

DiskCompletion Transfer::finish() {
    buffer_.reset();
    return {cookie_, error_, done_};
}

}  // namespace exo::vmm
