#include "guest/drivers/block/disk_registry.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "guest/drivers/block/block_io.h"

namespace exo::guest {
namespace {

constexpr std::string_view prefix = "disk";
constexpr std::string_view boot_name = "boot";

void set_name(Disk& disk, std::string_view text) {
    std::ranges::copy(text, disk.name_text.begin());
    disk.name_size = text.size();
}

void set_number(Disk& disk, unsigned number) {
    set_name(disk, prefix);
    char* const start = disk.name_text.data() + prefix.size();
    const auto end = std::to_chars(start, disk.name_text.data() + disk.name_text.size(), number).ptr;
    disk.name_size = static_cast<std::size_t>(end - disk.name_text.data());
}

constinit DiskRegistry kernel_registry;

bool starts_with(BlockDevice& device, std::span<const std::uint8_t, sector_size> expected,
                 const DriverServices& services) {
    // A whole logical block, which may be larger than the sector that is compared.
    auto buffer = DmaBuffer::allocate(services.dma, device.info().logical_block);
    if (!buffer) return false;
    BlockRequest request;
    const DmaSpan segment = buffer->span().subspan(0, device.info().logical_block);
    request.segments = {&segment, 1};
    if (run(device, request) != BlockStatus::ok) return false;
    return std::memcmp(buffer->data(), expected.data(), expected.size()) == 0;
}

}  // namespace

Result<void> DiskRegistry::add(std::unique_ptr<BlockDevice> device) {
    if (count_ == capacity)
        return fail("cannot add a disk", "there are more disks than the kernel has room for");
    disks_[count_++].device = std::move(device);
    name_all();
    return {};
}

void DiskRegistry::find_boot_disk(const boot::BootDisk& boot, const DriverServices& services) {
    if (boot.sectors == 0) return;
    for (Disk& disk : disks()) {
        if (disk.device->info().sectors != boot.sectors) continue;
        if (!starts_with(*disk.device, boot.first_sector, services)) continue;
        disk.boot = true;
        break;
    }
    name_all();
}

void DiskRegistry::name_all() {
    unsigned number = 0;
    for (Disk& disk : disks()) {
        if (disk.boot)
            set_name(disk, boot_name);
        else
            set_number(disk, number++);
    }
}

Disk* DiskRegistry::find(std::string_view name) {
    for (Disk& disk : disks()) {
        const std::string_view full = disk.name();
        if (full == name || (!disk.boot && full.substr(prefix.size()) == name)) return &disk;
    }
    return nullptr;
}

Disk* DiskRegistry::first() {
    for (Disk& disk : disks())
        if (!disk.boot) return &disk;
    return nullptr;
}

DiskRegistry& disk_registry() {
    return kernel_registry;
}

}  // namespace exo::guest
