#include "guest/boot/boot_disk.h"

namespace exo::guest::uefi {
namespace {

/// The handle of the disk around a partition; `device` itself when it is not a partition.
Handle whole_disk(const Firmware& firmware, Handle device) {
    const auto* const path = firmware.protocol<const DevicePath>(device, device_path_guid);
    if (path == nullptr) return device;
    const DevicePath* partition = path;
    const auto is_partition = [](const DevicePath& node) {
        return node.type == DevicePath::type_media &&
               (node.sub_type == DevicePath::media_hard_drive || node.sub_type == DevicePath::media_cd_rom);
    };
    while (partition->type != DevicePath::type_end && !is_partition(*partition)) {
        if (partition->size() < sizeof(DevicePath)) return device;
        partition = partition->next();
    }
    if (partition->type == DevicePath::type_end) return device;

    // The disk's path is the part before the partition's node, closed by an end node.
    const size_t size = static_cast<size_t>(reinterpret_cast<const uint8_t*>(partition) -
                                            reinterpret_cast<const uint8_t*>(path));
    alignas(DevicePath) uint8_t parent[1024];
    if (size + sizeof(DevicePath) > sizeof(parent)) return device;
    __builtin_memcpy(parent, path, size);
    const DevicePath end{DevicePath::type_end, DevicePath::end_entire, {sizeof(DevicePath), 0}};
    __builtin_memcpy(parent + size, &end, sizeof(end));
    const auto* rest = reinterpret_cast<const DevicePath*>(parent);
    Handle disk = nullptr;
    if (firmware.services().locate_device_path(&BlockIo::guid, &rest, &disk) != Status::success)
        return device;
    return rest->type == DevicePath::type_end ? disk : device;
}

}  // namespace

void fingerprint_boot_disk(const Firmware& firmware, boot::BootDisk& disk) {
    auto* const block_io = firmware.protocol<BlockIo>(whole_disk(firmware, firmware.loaded->device));
    if (block_io == nullptr || block_io->media == nullptr || !block_io->media->present) return;
    const BlockIoMedia& media = *block_io->media;
    if (media.logical_partition || media.block_size < sizeof(disk.first_sector)) return;
    void* const block = allocate(firmware, media.block_size);  // page-aligned, as any io_align asks for
    if (block == nullptr) return;
    if (block_io->read_blocks(block_io, media.media_id, 0, media.block_size, block) != Status::success)
        return;
    __builtin_memcpy(disk.first_sector, block, sizeof(disk.first_sector));
    disk.sectors = (media.last_block + 1) * (media.block_size / sizeof(disk.first_sector));
}

}  // namespace exo::guest::uefi
