#pragma once

#include <cstdint>
#include <optional>

#include "vmm/machine/layout.h"

namespace exo::vmm {

/// Hands out pages from the top of low RAM downwards.
class TopOfMemory {
  public:
    static constexpr std::uint64_t page = 4096;

    explicit TopOfMemory(const layout::RamSplit& ram) : end_(ram.low / page * page) {}

    /// Everything below is free yet, as far as this object knows.
    std::uint64_t end() const { return end_; }

    /// Whole pages, none above `last`; nothing when they would not lie above 1 MiB.
    std::optional<AddressRange> take(std::uint64_t size, std::uint64_t last = UINT64_MAX) {
        const std::uint64_t limit = last < end_ ? (last + 1) / page * page : end_;
        if (limit < layout::legacy_hole.end() || size > limit - layout::legacy_hole.end() - page)
            return std::nullopt;
        end_ = (limit - size) / page * page;
        return AddressRange{end_, limit - end_};
    }

  private:
    std::uint64_t end_;
};

}  // namespace exo::vmm
