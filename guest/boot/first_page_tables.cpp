#include "guest/boot/first_page_tables.h"

#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/page_table.h"
#include "guest/boot/direct_map.h"
#include "guest/boot/firmware_memory_map.h"
#include "shared/boot/boot_info.h"

namespace exo::guest::uefi {
namespace {

using arch::MapResult;
using arch::PageAccess;

constexpr const char* what = "first page tables";

/// Tables in memory from the firmware, which shows all memory at its own address.
struct TableMemory {
    const Firmware& firmware;
    uint64_t allocate_table() { return reinterpret_cast<uint64_t>(allocate(firmware, arch::page_size)); }
    uint64_t* table(uint64_t physical) { return reinterpret_cast<uint64_t*>(physical); }
    void store(uint64_t* entry, uint64_t value) { *entry = value; }
};
using Tables = arch::PageTable<TableMemory>;

Status check(const Firmware& firmware, MapResult result) {
    switch (result) {
        case MapResult::ok:
            return Status::success;
        case MapResult::out_of_memory:
            return report(firmware, Status::out_of_resources, what, "give the machine more memory");
        default:
            return report(firmware, Status::load_error, what, "memory lies where the kernel cannot map it");
    }
}

Status map_kernel(const Firmware& firmware, const PlacedKernel& kernel, Tables& tables) {
    for (size_t i = 0; i < kernel.plan.segment_count; ++i) {
        const elf::ProgramHeader& segment = kernel.plan.segments[i];
        const PageAccess access = (segment.flags & elf::flag_execute) != 0 ? PageAccess::read_execute
                                  : (segment.flags & elf::flag_write) != 0 ? PageAccess::read_write
                                                                           : PageAccess::read;
        const uint64_t size = (segment.memory_size + arch::page_size - 1) / arch::page_size * arch::page_size;
        const Status status =
            check(firmware,
                  tables.map(segment.virtual_address,
                             kernel.physical + segment.virtual_address - boot::kernel_base, size, access));
        if (status != Status::success) return status;
    }
    return Status::success;
}

}  // namespace

Status build_first_page_tables(const Firmware& firmware, const PlacedKernel& kernel, uint64_t& root) {
    TableMemory memory{firmware};
    root = memory.allocate_table();
    if (root == 0) return check(firmware, MapResult::out_of_memory);
    Tables tables(memory, root, arch::has_1g_pages() ? arch::page_size_1g : arch::page_size_2m);
    Status status = map_kernel(firmware, kernel, tables);
    if (status != Status::success) return status;

    FirmwareMemoryMap map;
    status = map.allocate(firmware);
    if (status != Status::success) return status;
    status = map.fetch(firmware);
    if (status != Status::success) return report(firmware, status, "memory map");
    map.convert();
    status = check(firmware, boot::map_direct(tables, map.ranges(), map.range_count()));
    if (status != Status::success) return status;

    const uint64_t image = reinterpret_cast<uint64_t>(firmware.loaded->image_base);
    const uint64_t end =
        (image + firmware.loaded->image_size + arch::page_size - 1) / arch::page_size * arch::page_size;
    const uint64_t start = image / arch::page_size * arch::page_size;
    return check(firmware, tables.map(start, start, end - start, PageAccess::read_execute));
}

}  // namespace exo::guest::uefi
