#include <algorithm>
#include <cstring>

#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/image_parts.h"
#include "guest/arch/x86_64/page_table.h"
#include "guest/arch/x86_64/pvh_start_info.h"
#include "guest/boot/direct_map.h"
#include "shared/boot/boot_info.h"
#include "shared/boot/pvh.h"
#include "shared/platform/exit_status.h"
#include "shared/platform/platform.h"

/// The part of the UEFI loader that a kernel started directly does itself: it gathers BootInfo and builds the
/// first page tables, in memory right behind the image.
namespace exo::guest::arch {
namespace {

/// As kernel.ld says.
constexpr std::uint64_t image_physical = 2 << 20;
/// pvh.S maps this much.
constexpr std::uint64_t reach = 1 << 30;

std::uint64_t image_size() {
    return static_cast<std::uint64_t>(exo_image_end - exo_text_start);
}

template <typename T>
T* at(std::uint64_t physical) {
    return reinterpret_cast<T*>(boot::direct_map_base + physical);
}

bool is_ours() {
    return host_bridge_subsystem() ==
           (std::uint32_t{platform::subsystem_exo_vmm} << 16 | platform::subsystem_vendor);
}

/// There is no console yet: the serial line gets the bytes unasked.
[[noreturn]] void stop(const char* why) {
    constexpr std::uint16_t serial_port = 0x3f8;
    for (const char* text : {"exo: cannot start by PVH: ", why, "\r\n"})
        for (; *text != 0; ++text) out(serial_port, static_cast<std::uint8_t>(*text));
    if (is_ours()) out<std::uint16_t>(platform::exit_port, platform::status_guest_panic);
    for (;;) asm volatile("cli; hlt");
}

/// Zeroed memory from behind the image upwards. It becomes the loader's in the memory map.
class Arena {
  public:
    Arena(std::uint64_t start, std::uint64_t end) : next_(start), end_(end) {}

    std::uint64_t allocate(std::uint64_t size) {
        if (size > end_ - next_) stop("there is too little memory behind the kernel's image");
        const std::uint64_t address = next_;
        next_ = std::min(up_to_page(address + size), end_);
        std::memset(at<void>(address), 0, size);
        return address;
    }
    std::uint64_t next() const { return next_; }

    // As PageTable wants its memory.
    std::uint64_t allocate_table() { return allocate(page_size); }
    std::uint64_t* table(std::uint64_t physical) { return at<std::uint64_t>(physical); }
    void store(std::uint64_t* entry, std::uint64_t value) { *entry = value; }

  private:
    std::uint64_t next_;
    std::uint64_t end_;
};

/// A table that the VMM left in memory.
template <typename T>
std::span<const T> view(std::uint64_t address, std::uint64_t count) {
    if (count == 0) return {};
    if (address >= reach || count > (reach - address) / sizeof(T))
        stop("what the VMM hands over lies above 1 GiB");
    return {at<const T>(address), count};
}

std::span<const char> command_line(const boot::pvh::StartInfo& start) {
    if (start.command_line == 0) return {};
    constexpr std::uint64_t longest = 4096;
    const auto text = view<char>(start.command_line, std::min(longest, reach - start.command_line % reach));
    const auto end = std::ranges::find(text, '\0');
    if (end == text.end()) stop("the command line is longer than 4 KiB");
    return {text.begin(), end};
}

std::uint64_t build_first_page_tables(Arena& arena, std::span<const boot::MemoryRange> ranges) {
    const std::uint64_t root = arena.allocate_table();
    PageTable<Arena> tables(arena, root, has_1g_pages() ? page_size_1g : page_size_2m);
    MapResult result = boot::map_direct(tables, ranges.data(), ranges.size());
    for (const ImagePart& part : image_parts())
        if (result == MapResult::ok && part.size != 0)
            result = tables.map(part.start, image_physical + (part.start - boot::kernel_base), part.size,
                                part.access);
    if (result != MapResult::ok) stop("memory lies where the kernel cannot map it");
    return root;
}

/// Our VMM hands the kernel's own file over as a module: its symbols make backtraces readable.
/// All memory is mapped by now.
void find_symbols(std::span<const boot::pvh::Module> modules, boot::BootInfo& info) {
    constexpr char magic[] = {0x7f, 'E', 'L', 'F'};
    for (const boot::pvh::Module& module : modules) {
        if (module.size < sizeof(magic) || std::memcmp(at<void>(module.address), magic, sizeof(magic)) != 0)
            continue;
        info.elf_image = module.address;
        info.elf_size = module.size;
        return;
    }
}

}  // namespace

/// BootInfo, as the direct map shows it, on the page tables that the kernel starts with.
extern "C" const boot::BootInfo* exo_pvh_prepare(std::uint64_t start_info, std::uint64_t entry_tsc) {
    if (is_ours()) out(platform::phase_port, static_cast<std::uint8_t>(platform::BootPhase::loader_entry));
    const boot::pvh::StartInfo start = view<boot::pvh::StartInfo>(start_info, 1)[0];
    if (start.magic != boot::pvh::start_info_magic || start.version < boot::pvh::start_info_version)
        stop("the VMM hands over no start info of version 1");
    if (!has_no_execute()) stop("the processor cannot protect data from being executed (NX)");
    const auto entries = view<boot::pvh::MemoryMapEntry>(start.memory_map, start.memory_map_count);
    const auto modules = view<boot::pvh::Module>(start.modules, start.module_count);
    const auto text = command_line(start);

    const std::uint64_t tables[] = {start_info, start.memory_map, start.modules, start.command_line};
    const std::uint64_t behind_image = up_to_page(image_physical + image_size());
    Arena arena(behind_image, std::min(reach, free_until(behind_image, entries, modules, tables)));

    auto* const info = at<boot::BootInfo>(arena.allocate(sizeof(boot::BootInfo)));
    info->magic = boot::boot_info_magic;
    info->version = boot::boot_info_version;
    info->size = sizeof(*info);
    info->loader_tsc = entry_tsc;
    info->acpi_rsdp = start.rsdp;
    info->command_line = arena.allocate(text.size() + 1);
    info->command_line_size = text.size();
    std::ranges::copy(text, at<char>(info->command_line));
    info->kernel_physical = image_physical;
    info->kernel_size = image_size();

    const std::size_t splits = 2 * (modules.size() + 1);
    info->memory_map = arena.allocate((entries.size() + splits) * sizeof(boot::MemoryRange));
    auto* const ranges = at<boot::MemoryRange>(info->memory_map);
    std::size_t count = convert_pvh_memory_map(entries, ranges);
    const std::uint64_t root = build_first_page_tables(arena, {ranges, count});
    boot::claim_for_loader(ranges, count, image_physical, arena.next());
    for (const boot::pvh::Module& module : modules)
        boot::claim_for_loader(ranges, count, module.address / page_size * page_size,
                               up_to_page(module.address + module.size));
    info->memory_map_count = count;

    wrmsr(msr::efer, rdmsr(msr::efer) | msr::efer_no_execute);
    write_cr3(root);
    find_symbols(modules, *info);
    return info;
}

}  // namespace exo::guest::arch
