#include "vmm/machine/guest_ram.h"

#include <sys/mman.h>

namespace exo::vmm {

Result<GuestRam> GuestRam::create(const layout::RamSplit& split) {
    return make(split, MAP_ANONYMOUS, -1, 0);
}

Result<GuestRam> GuestRam::map(const layout::RamSplit& split, int fd, std::uint64_t offset) {
    return make(split, 0, fd, offset);
}

Result<GuestRam> GuestRam::make(const layout::RamSplit& split, int flags, int fd, std::uint64_t offset) {
    const std::size_t size = split.total();
    // Not reserved: the host need not have it all free at once, as the guest seldom touches all of it.
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | flags, fd,
                          static_cast<off_t>(offset));
    if (memory == MAP_FAILED) {
        return fail_errno(fmt::format("cannot get {} MiB of memory for the guest", size / layout::mib), errno,
                          "Ask for less with --memory, or raise the limit (ulimit -v).");
    }
    ::madvise(memory, size, MADV_HUGEPAGE);
    ::madvise(memory, size, MADV_DONTDUMP);
    const std::span host(static_cast<std::byte*>(memory), size);
    const auto hole = layout::legacy_hole;
    std::vector<GuestMemory::Region> regions = {
        {{0}, host.first(hole.start)},
        {{hole.end()}, host.subspan(hole.end(), split.low - hole.end())},
    };
    if (split.high != 0) regions.push_back({layout::high_ram_start, host.subspan(split.low)});
    return GuestRam(host, std::move(regions));
}

GuestRam::~GuestRam() {
    if (host_.data() != nullptr) ::munmap(host_.data(), host_.size());
}

}  // namespace exo::vmm
