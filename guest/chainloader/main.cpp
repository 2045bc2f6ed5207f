#include "guest/arch/x86_64/cpu.h"
#include "guest/boot/firmware.h"
#include "guest/chainloader/disks.h"
#include "guest/chainloader/fw_cfg_files.h"
#include "guest/chainloader/initrd.h"
#include "shared/platform/platform.h"

/// The UEFI application that the VMM gives the firmware in the kernel's place. It says that the firmware is
/// done: there the VMM takes a snapshot of the machine, or a later run goes on from it. Only then it fetches
/// the kernel of the run, its command line and initial RAM disk, and starts it.
namespace exo::guest::uefi {
namespace {

constexpr size_t page = 4096;

VendorMediaPath kernel_path{{0x3b9d1d1c, 0x2a30, 0x4e55, {0x8e, 0x52, 0x5e, 0x0c, 0x7a, 0x61, 0x0f, 0x35}}};

void free(const Firmware& firmware, void* memory, size_t size) {
    firmware.services().free_pages(reinterpret_cast<uint64_t>(memory), (size + page - 1) / page);
}

/// A copy in memory of the firmware's; nullptr when there is no room.
void* fetch(const Firmware& firmware, const FwCfgFile& file) {
    void* const memory = allocate(firmware, file.size);
    return memory != nullptr && read_fw_cfg(file, memory, file.size) ? memory : nullptr;
}

Status load_kernel(const Firmware& firmware, Handle& kernel) {
    const FwCfgFile file = find_fw_cfg_file(platform::kernel_file);
    if (file.size == 0) return Status::not_found;
    void* const image = fetch(firmware, file);
    if (image == nullptr) return Status::out_of_resources;
    const Status status =
        firmware.services().load_image(false, firmware.image, &kernel_path.header, image, file.size, &kernel);
    free(firmware, image, file.size);
    return status;
}

/// Each byte becomes a character, as OVMF does it for a kernel that it loads itself.
Status set_command_line(const Firmware& firmware, Handle kernel) {
    const FwCfgFile file = find_fw_cfg_file(platform::command_line_file);
    auto* const loaded = firmware.protocol<LoadedImage>(kernel);
    if (file.size == 0 || loaded == nullptr) return Status::success;
    const auto* const bytes = static_cast<const unsigned char*>(fetch(firmware, file));
    auto* const text = static_cast<Char16*>(allocate(firmware, (file.size + 1) * sizeof(Char16)));
    if (bytes == nullptr || text == nullptr) return Status::out_of_resources;
    for (size_t i = 0; i < file.size; ++i) text[i] = bytes[i];
    loaded->load_options = text;
    loaded->load_options_size = static_cast<uint32_t>((file.size + 1) * sizeof(Char16));
    return Status::success;
}

Status start_kernel(const Firmware& firmware) {
    Handle kernel = nullptr;
    Status status = load_kernel(firmware, kernel);
    if (status == Status::success) status = set_command_line(firmware, kernel);
    if (status == Status::success) status = offer_initrd(firmware);
    if (status == Status::success) status = firmware.services().start_image(kernel, nullptr, nullptr);
    return status;
}

}  // namespace
}  // namespace exo::guest::uefi

extern "C" exo::guest::uefi::Status efi_main(exo::guest::uefi::Handle image,
                                             exo::guest::uefi::SystemTable* system) {
    using namespace exo::guest;
    const uefi::Firmware firmware{image, system, nullptr};
    uefi::FirmwareDisks disks;
    disks.let_go(firmware);
    arch::out(exo::platform::phase_port, static_cast<uint8_t>(exo::platform::BootPhase::firmware_done));
    disks.take_again(firmware);
    const uefi::Status status = uefi::start_kernel(firmware);
    return uefi::report(firmware, status, "the kernel did not start");
}
