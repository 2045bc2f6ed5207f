#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/driver_services.h"
#include "guest/kernel/error.h"
#include "shared/boot/boot_info.h"

namespace exo::guest {

/// A disk by its name. Disks of data are disk0, disk1, … in the order in which they were found; the disk that
/// the loader came from is `boot`, so that disk0 is the same disk on every platform, however it was booted.
struct Disk {
    std::unique_ptr<BlockDevice> device;
    bool boot = false;

    std::string_view name() const { return {name_text.data(), name_size}; }

    std::array<char, 8> name_text{};
    std::size_t name_size = 0;
};

/// The machine's disks in the order in which the drivers found them.
class DiskRegistry {
  public:
    static constexpr std::size_t capacity = 64;

    /// Takes the disk over and names it; an error when there are too many.
    Result<void> add(std::unique_ptr<BlockDevice> device);

    /// Recognises the disk that the loader came from by its size and first sector, names it `boot` and
    /// numbers the others anew. Disks that cannot be read are passed over.
    void find_boot_disk(const boot::BootDisk& boot, const DriverServices& services);

    std::span<Disk> disks() { return {disks_.data(), count_}; }

    /// By name ("disk1", "boot") or by number alone ("1"); null when there is none.
    Disk* find(std::string_view name);
    /// The first that is not the boot disk; null when there is none.
    Disk* first();

  private:
    void name_all();

    std::array<Disk, capacity> disks_;
    std::size_t count_ = 0;
};

/// The kernel's one registry.
DiskRegistry& disk_registry();

}  // namespace exo::guest
