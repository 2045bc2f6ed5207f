#include "guest/chainloader/initrd.h"

#include "guest/chainloader/fw_cfg_files.h"
#include "shared/platform/platform.h"

namespace exo::guest::uefi {
namespace {

struct LoadFile2 {
    static constexpr Guid guid{0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
    Status (*load_file)(LoadFile2*, const DevicePath*, bool boot_policy, size_t* size, void* buffer);
};

Status load(LoadFile2* /*self*/, const DevicePath* path, bool boot_policy, size_t* size, void* buffer) {
    if (boot_policy) return Status::unsupported;
    if (path == nullptr || size == nullptr) return Status::invalid_parameter;
    const FwCfgFile file = find_fw_cfg_file(platform::initrd_file);
    if (file.size == 0) return Status::not_found;
    const size_t room = *size;
    *size = file.size;
    if (buffer == nullptr || room < file.size) return Status::buffer_too_small;
    return read_fw_cfg(file, buffer, file.size) ? Status::success : Status::device_error;
}

// The kernel uses them after this application has started it, for as long as boot services last.
LoadFile2 interface{load};
VendorMediaPath path{{0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}}};

}  // namespace

Status offer_initrd(const Firmware& firmware) {
    if (find_fw_cfg_file(platform::initrd_file).size == 0) return Status::success;
    Handle handle = nullptr;
    constexpr uint32_t native = 0;
    const BootServices& services = firmware.services();
    const Status status = services.install_protocol(&handle, &device_path_guid, native, &path);
    return status != Status::success
               ? status
               : services.install_protocol(&handle, &LoadFile2::guid, native, &interface);
}

}  // namespace exo::guest::uefi
