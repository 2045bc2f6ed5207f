#include "guest/arch/x86_64/cpu.h"
#include "guest/boot/boot_disk.h"
#include "guest/boot/command_line.h"
#include "guest/boot/firmware_memory_map.h"
#include "guest/boot/first_page_tables.h"
#include "guest/boot/kernel_image.h"
#include "guest/boot/processors.h"
#include "guest/boot/utf.h"
#include "shared/platform/platform.h"

/// The UEFI application: gathers what the kernel needs to know, places the kernel, leaves boot services,
/// jumps.
namespace exo::guest::uefi {
namespace {

void mark_phase_on_our_vmm() {
    constexpr uint32_t ours = uint32_t{platform::subsystem_exo_vmm} << 16 | platform::subsystem_vendor;
    if (arch::host_bridge_subsystem() == ours)
        arch::out(platform::phase_port, static_cast<uint8_t>(platform::BootPhase::loader_entry));
}

Status check_processor(const Firmware& firmware) {
    if (!arch::has_no_execute())
        return report(firmware, Status::unsupported, "processor",
                      "it cannot protect data from being executed (NX); choose a CPU model that has it");
    if ((arch::read_cr4() & arch::cr4::five_levels) != 0)
        return report(firmware, Status::unsupported, "processor",
                      "the firmware turned on five-level paging; choose a CPU model without la57");
    return Status::success;
}

/// The ACPI root, of revision 2 if there is one.
uint64_t find_rsdp(const SystemTable& system) {
    uint64_t found = 0;
    for (size_t i = 0; i < system.configuration_count; ++i) {
        const ConfigurationTable& entry = system.configuration[i];
        if (entry.guid == acpi_20_table) return reinterpret_cast<uint64_t>(entry.table);
        if (entry.guid == acpi_10_table) found = reinterpret_cast<uint64_t>(entry.table);
    }
    return found;
}

/// BootInfo and the texts it points to, in one piece of memory.
struct Handover {
    boot::BootInfo info;
    char vendor[128];
    CommandLineText command_line;
};

Status gather(const Firmware& firmware, uint64_t entry_tsc, Handover& handover) {
    const Status status = read_command_line(firmware, handover.command_line);
    if (status != Status::success) return status;
    const SystemTable& system = *firmware.system;
    boot::BootInfo& info = handover.info;
    info.magic = boot::boot_info_magic;
    info.version = boot::boot_info_version;
    info.size = sizeof(info);
    info.loader_tsc = entry_tsc;
    info.command_line = reinterpret_cast<uint64_t>(handover.command_line.text);
    info.command_line_size = handover.command_line.size;
    info.acpi_rsdp = find_rsdp(system);
    if (system.firmware_vendor != nullptr) {
        utf16_to_utf8(system.firmware_vendor, sizeof(handover.vendor), handover.vendor,
                      sizeof(handover.vendor) - 1);
        info.firmware_vendor = reinterpret_cast<uint64_t>(handover.vendor);
    }
    info.firmware_revision = system.firmware_revision;
    info.uefi_revision = system.header.revision;
    fingerprint_boot_disk(firmware, info.boot_disk);
    list_processors(firmware, info.cpus);
    return Status::success;
}

/// Tells the firmware to let go. Its memory map must be the current one, and it may change in the middle of
/// the first try; then it is fetched again.
Status exit_boot_services(const Firmware& firmware, FirmwareMemoryMap& map) {
    Status status = Status::success;
    for (int tries = 0; tries < 8; ++tries) {
        status = map.fetch(firmware);
        if (status != Status::success) break;
        status = firmware.services().exit_boot_services(firmware.image, map.key());
        if (status != Status::invalid_parameter) break;
    }
    return status;
}

/// To the kernel's entry with its calling convention: BootInfo in RDI, as the direct map shows it.
[[noreturn]] void jump(uint64_t page_tables, uint64_t entry, const boot::BootInfo& info) {
    asm volatile("cli" : : : "memory");
    arch::wrmsr(arch::msr::efer, arch::rdmsr(arch::msr::efer) | arch::msr::efer_no_execute);
    asm volatile(
        "mov %0, %%cr3\n"
        "jmp *%1\n"
        :
        : "r"(page_tables), "r"(entry), "D"(boot::direct_map_base + reinterpret_cast<uint64_t>(&info))
        : "memory");
    __builtin_unreachable();
}

Status load(const Firmware& firmware, uint64_t entry_tsc) {
    firmware.services().set_watchdog_timer(0, 0, 0, nullptr);
    Status status = check_processor(firmware);
    if (status != Status::success) return status;
    auto* const handover = static_cast<Handover*>(allocate(firmware, sizeof(Handover)));
    if (handover == nullptr)
        return report(firmware, Status::out_of_resources, "boot information", "give the machine more memory");
    status = gather(firmware, entry_tsc, *handover);
    if (status != Status::success) return status;
    PlacedKernel kernel;
    status = place_kernel(firmware, kernel);
    if (status != Status::success) return status;
    uint64_t page_tables = 0;
    status = build_first_page_tables(firmware, kernel, page_tables);
    if (status != Status::success) return status;
    FirmwareMemoryMap map;
    status = map.allocate(firmware);
    if (status != Status::success) return status;

    status = exit_boot_services(firmware, map);
    if (status != Status::success) return report(firmware, status, "leaving boot services");
    map.convert();
    boot::BootInfo& info = handover->info;
    info.memory_map = reinterpret_cast<uint64_t>(map.ranges());
    info.memory_map_count = map.range_count();
    info.elf_image = reinterpret_cast<uint64_t>(kernel.file.data);
    info.elf_size = kernel.file.size;
    info.kernel_physical = kernel.physical;
    info.kernel_size = kernel.plan.size;
    jump(page_tables, kernel.plan.entry, info);
}

}  // namespace
}  // namespace exo::guest::uefi

extern "C" exo::guest::uefi::Status efi_main(exo::guest::uefi::Handle image,
                                             exo::guest::uefi::SystemTable* system) {
    using namespace exo::guest::uefi;
    const uint64_t entry_tsc = exo::guest::arch::rdtsc();
    mark_phase_on_our_vmm();
    Firmware firmware{image, system, nullptr};
    firmware.loaded = firmware.protocol<LoadedImage>(image);
    if (firmware.loaded == nullptr)
        return report(firmware, Status::unsupported, "start",
                      "the firmware does not say how this image was loaded");
    return load(firmware, entry_tsc);
}
