#pragma once

#include <chrono>
#include <cstdint>

#include "shared/block/moving_mean.h"
#include "shared/block/protocol.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// Saturates instead of wrapping; a clock that went back counts as no time.
std::uint32_t clamp_ns(std::chrono::nanoseconds duration);

/// A moving mean of durations in nanoseconds; 0 before the first one.
class MovingDuration {
  public:
    void add(std::chrono::nanoseconds sample) { mean_.add(clamp_ns(sample)); }
    std::uint32_t ns() const { return mean_.value(); }

  private:
    block::MovingMean mean_;
};

/// How long the disk takes, as the device tells the guest: by operation and size.
class ServiceTimes {
  public:
    void add(DiskOperation operation, std::uint32_t bytes, std::chrono::nanoseconds duration);
    void write_to(block::DeviceControl& control) const;

  private:
    MovingDuration read_[block::size_classes];
    MovingDuration write_[block::size_classes];
    MovingDuration flush_;
};

}  // namespace exo::vmm
