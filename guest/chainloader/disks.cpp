#include "guest/chainloader/disks.h"

namespace exo::guest::uefi {

void FirmwareDisks::let_go(const Firmware& firmware) {
    const BootServices& services = firmware.services();
    Handle handles[4 * most];
    size_t size = sizeof(handles);
    constexpr uint32_t by_protocol = 2;
    if (services.locate_handle(by_protocol, &BlockIo::guid, nullptr, &size, handles) != Status::success)
        return;
    for (size_t i = 0; i < size / sizeof(Handle) && count_ < most; ++i) {
        const auto* const disk = firmware.protocol<BlockIo>(handles[i]);
        if (disk != nullptr && disk->media != nullptr && !disk->media->logical_partition)
            controllers_[count_++] = handles[i];
    }
    for (size_t i = 0; i < count_; ++i) services.disconnect_controller(controllers_[i], nullptr, nullptr);
}

void FirmwareDisks::take_again(const Firmware& firmware) const {
    constexpr bool recursive = true;
    for (size_t i = 0; i < count_; ++i)
        firmware.services().connect_controller(controllers_[i], nullptr, nullptr, recursive);
}

}  // namespace exo::guest::uefi
