#pragma once

#include "guest/boot/firmware.h"
#include "shared/boot/boot_info.h"

namespace exo::guest::uefi {

/// The firmware's memory map and room for the kernel's form of it. The map may grow with every allocation, so
/// the buffers have slack.
class FirmwareMemoryMap {
  public:
    Status allocate(const Firmware& firmware);
    /// Reads the current map. Allocates nothing, so it may run after a first ExitBootServices has failed.
    Status fetch(const Firmware& firmware);
    /// Converts what was read last.
    void convert();

    size_t key() const { return key_; }
    const boot::MemoryRange* ranges() const { return ranges_; }
    size_t range_count() const { return range_count_; }

  private:
    uint8_t* descriptors_ = nullptr;
    size_t capacity_ = 0;
    size_t size_ = 0;
    size_t descriptor_size_ = sizeof(MemoryDescriptor);
    size_t key_ = 0;
    boot::MemoryRange* ranges_ = nullptr;
    size_t range_count_ = 0;
};

}  // namespace exo::guest::uefi
