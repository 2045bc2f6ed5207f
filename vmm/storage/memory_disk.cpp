#include "vmm/storage/memory_disk.h"

#include <cerrno>
#include <cstring>

namespace exo::vmm {

Result<MemoryDisk> MemoryDisk::create(std::vector<std::byte> content, bool read_only,
                                      std::uint32_t logical_block) {
    auto completed = EventFd::create();
    if (!completed) return std::unexpected(completed.error());
    if (content.empty() || content.size() % logical_block != 0)
        return fail("memory disk", "its size is zero or no multiple of its block size");
    const DiskGeometry geometry{content.size(), logical_block, logical_block, read_only};
    return MemoryDisk(std::move(content), geometry, std::move(*completed));
}

void MemoryDisk::submit(std::span<const DiskRequest> requests) {
    for (const DiskRequest& request : requests) done_.push_back(carry_out(request));
    if (!requests.empty()) completed_.signal();
}

DiskCompletion MemoryDisk::carry_out(const DiskRequest& request) {
    if (request.operation == DiskOperation::discard || request.operation == DiskOperation::write_zeroes) {
        if (request.offset + request.length > content_.size()) return {request.cookie, EIO, 0};
        std::memset(content_.data() + request.offset, 0, request.length);
        return {request.cookie, 0, request.length};
    }
    std::uint64_t moved = 0;
    for (const iovec& segment : request.segments) {
        if (request.offset + moved + segment.iov_len > content_.size()) return {request.cookie, EIO, moved};
        std::byte* const here = content_.data() + request.offset + moved;
        if (request.operation == DiskOperation::read) {
            std::memcpy(segment.iov_base, here, segment.iov_len);
        } else {
            std::memcpy(here, segment.iov_base, segment.iov_len);
        }
        moved += segment.iov_len;
    }
    return {request.cookie, 0, moved};
}

std::size_t MemoryDisk::reap(std::span<DiskCompletion> completions) {
    std::size_t count = 0;
    while (count < completions.size() && !done_.empty()) {
        completions[count++] = done_.front();
        done_.pop_front();
    }
    return count;
}

}  // namespace exo::vmm
