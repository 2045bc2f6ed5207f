#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/machine/layout.h"

namespace exo::vmm {

/// The host memory behind the guest's RAM: zeroed, taken from the host page by page as the guest touches it.
class GuestRam {
  public:
    static Result<GuestRam> create(const layout::RamSplit& split);
    /// With the content of a file from `offset` on, a multiple of the page size, which is read page by page
    /// as the guest touches it and never written. The file must keep its length.
    static Result<GuestRam> map(const layout::RamSplit& split, int fd, std::uint64_t offset);

    GuestRam(GuestRam&& other) noexcept
        : host_(std::exchange(other.host_, {})), regions_(std::move(other.regions_)) {}
    GuestRam& operator=(GuestRam&&) = delete;
    GuestRam(const GuestRam&) = delete;
    GuestRam& operator=(const GuestRam&) = delete;
    ~GuestRam();

    /// Below the legacy hole, above it up to the top of low RAM, and from 4 GiB on.
    const std::vector<GuestMemory::Region>& regions() const { return regions_; }
    std::span<std::byte> host() const { return host_; }

  private:
    static Result<GuestRam> make(const layout::RamSplit& split, int flags, int fd, std::uint64_t offset);
    GuestRam(std::span<std::byte> host, std::vector<GuestMemory::Region> regions)
        : host_(host), regions_(std::move(regions)) {}

    std::span<std::byte> host_;
    std::vector<GuestMemory::Region> regions_;
};

}  // namespace exo::vmm
