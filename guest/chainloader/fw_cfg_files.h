#pragma once

#include <stddef.h>
#include <stdint.h>

/// Files of QEMU's firmware configuration device (QEMU docs/specs/fw_cfg), read by its DMA interface.
namespace exo::guest::uefi {

struct FwCfgFile {
    uint16_t selector = 0;
    uint32_t size = 0;  ///< 0 when there is none of that name
};

FwCfgFile find_fw_cfg_file(const char* name);
/// The first `size` bytes of it.
bool read_fw_cfg(const FwCfgFile& file, void* to, uint32_t size);

}  // namespace exo::guest::uefi
