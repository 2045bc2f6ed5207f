#include "guest/arch/x86_64/address_space.h"

#include <algorithm>
#include <cstring>

#include "guest/arch/arch.h"
#include "guest/arch/spin_lock.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/image_parts.h"
#include "guest/arch/x86_64/page_table.h"
#include "guest/arch/x86_64/stack_places.h"
#include "guest/kernel/panic.h"
#include "guest/memory/kernel_memory.h"

namespace exo::guest::arch {
namespace {

constexpr std::uint64_t window_base = 0xffff'c000'0000'0000;
constexpr std::uint64_t window_end = window_base + (1ull << 40);
constexpr std::uint64_t stack_base = 0xffff'd000'0000'0000;
constexpr std::uint64_t stack_end = stack_base + (1ull << 40);
/// Wider than any frame of a function that does not touch its stack on the way down.
constexpr std::uint64_t stack_guard = 64 << 10;

/// Tables in frames, seen through the direct map.
struct FrameTables {
    std::uint64_t allocate_table() {
        const auto frame = kernel_memory().frames.allocate(1);
        if (!frame) return 0;
        std::memset(memory_at(*frame), 0, frame_size);
        return *frame;
    }
    std::uint64_t* table(std::uint64_t physical) {
        return reinterpret_cast<std::uint64_t*>(memory_at(physical));
    }
    void store(std::uint64_t* entry, std::uint64_t value) {
        *static_cast<volatile std::uint64_t*>(entry) = value;
    }
};
using Tables = PageTable<FrameTables>;

constinit FrameTables table_memory;
constinit std::span<const boot::MemoryRange> memory_map;
constinit std::uint64_t image_physical = 0;
constinit std::uint64_t root = 0;
constinit std::uint64_t next_window = window_base;
constinit StackPlaces stack_places(table_memory, stack_base, stack_end, stack_guard);
/// Of the tables, windows and places. What needs no more than to read an entry does without.
constinit SpinLock map_lock;

Tables tables() {
    return Tables(table_memory, root, has_1g_pages() ? page_size_1g : page_size_2m);
}

/// What the processor finds at an address now, by the loader's tables too.
Translation translate(std::uint64_t address) {
    return Tables(table_memory, read_cr3() & page_bit::address, page_size).translate(address);
}

std::uint64_t address_of(const std::byte* symbol) {
    return reinterpret_cast<std::uint64_t>(symbol);
}

bool is_ram(boot::MemoryKind kind) {
    return kind == boot::MemoryKind::usable || kind == boot::MemoryKind::loader ||
           kind == boot::MemoryKind::acpi_reclaimable;
}

Result<void> map(std::uint64_t address, std::uint64_t physical, std::uint64_t size, PageAccess access,
                 PageCaching caching = PageCaching::cached) {
    switch (tables().map(address, physical, size, access, caching)) {
        case MapResult::ok:
            return {};
        case MapResult::out_of_memory:
            return fail("page tables", "out of memory", "give the machine more memory");
        case MapResult::already_mapped:
            return fail("page tables", "a part of the range is mapped already");
        case MapResult::invalid:
            return fail("page tables", "the range is not one that can be mapped");
    }
    return fail("page tables", "unknown result");
}

Result<void> map_image(std::uint64_t physical) {
    for (const ImagePart& part : image_parts()) {
        if (part.size == 0) continue;
        const std::uint64_t offset = part.start - boot::kernel_base;
        if (const auto done = map(part.start, physical + offset, part.size, part.access); !done) return done;
    }
    return {};
}

/// The direct map of [start, end), without write access where the kernel's code and constants lie: otherwise
/// they could be changed through it.
Result<void> map_ram(std::uint64_t start, std::uint64_t end, std::uint64_t kernel_physical) {
    const std::uint64_t constant_end = kernel_physical + (address_of(exo_rodata_end) - boot::kernel_base);
    const std::uint64_t cuts[] = {start, std::clamp(kernel_physical, start, end),
                                  std::clamp(constant_end, start, end), end};
    for (int i = 0; i < 3; ++i) {
        if (cuts[i] == cuts[i + 1]) continue;
        const PageAccess access = i == 1 ? PageAccess::read : PageAccess::read_write;
        const auto done = map(boot::direct_map_base + cuts[i], cuts[i], cuts[i + 1] - cuts[i], access);
        if (!done) return done;
    }
    return {};
}

Result<void> map_all_ram(std::uint64_t kernel_physical) {
    for (std::size_t i = 0; i < memory_map.size(); ++i) {
        if (!is_ram(memory_map[i].kind)) continue;
        const std::uint64_t start = memory_map[i].start;
        std::uint64_t end = start + memory_map[i].size;
        // Neighbours of different kinds go together, for larger pages.
        while (i + 1 < memory_map.size() && memory_map[i + 1].start == end && is_ram(memory_map[i + 1].kind))
            end += memory_map[++i].size;
        if (const auto done = map_ram(start, end, kernel_physical); !done) return done;
    }
    return {};
}

/// Turns on what the processor has against mistakes and attacks.
void protect_supervisor() {
    const CpuidResult basic = cpuid(0);
    const CpuidResult features = basic.eax >= 7 ? cpuid(7) : CpuidResult{};
    std::uint64_t bits = read_cr4();
    if ((features.ebx & 1u << 7) != 0) bits |= cr4::smep;
    if ((features.ebx & 1u << 20) != 0) bits |= cr4::smap;
    if ((features.ecx & 1u << 2) != 0) bits |= cr4::umip;
    write_cr4(bits);
    write_cr0(read_cr0() | cr0::write_protect);
}

/// The first part of a range that has a range of the memory map of the right sort around it.
template <typename Predicate>
bool lies_within(std::uint64_t physical, std::uint64_t size, Predicate predicate) {
    if (size == 0 || physical + size < physical) return false;
    for (const boot::MemoryRange& range : memory_map) {
        if (physical < range.start || physical - range.start >= range.size || !predicate(range.kind))
            continue;
        const std::uint64_t part = std::min(size, range.start + range.size - physical);
        physical += part;
        size -= part;
        if (size == 0) return true;
    }
    return false;
}

bool meets_ram(std::uint64_t physical, std::uint64_t size) {
    return std::ranges::any_of(memory_map, [&](const boot::MemoryRange& range) {
        return is_ram(range.kind) && physical < range.start + range.size && range.start < physical + size;
    });
}

/// Maps whole pages around the range in fresh addresses; the address of its first byte.
Result<std::uint64_t> map_window(std::uint64_t physical, std::uint64_t size, PageAccess access,
                                 PageCaching caching) {
    const Locked guard(map_lock);
    const std::uint64_t offset = physical % page_size;
    std::uint64_t pages = 0;
    if (size == 0 || __builtin_add_overflow(size, offset + page_size - 1, &pages) ||
        pages / page_size > (window_end - next_window) / page_size - 1)
        return fail("device memory", "the range is empty or too large");
    pages = pages / page_size * page_size;
    // Windows begin where large pages would, so that a large frame buffer takes few entries.
    const std::uint64_t alignment = pages >= page_size_2m ? page_size_2m : page_size;
    const std::uint64_t address =
        (next_window + alignment - 1) / alignment * alignment + (physical - offset) % alignment;
    if (const auto done = map(address, physical - offset, pages, access, caching); !done)
        return std::unexpected(done.error());
    next_window = address + pages + page_size;
    return address + offset;
}

}  // namespace

Result<void> enter_address_space(std::span<const boot::MemoryRange> map, std::uint64_t kernel_physical) {
    use_memory_map(map);
    root = table_memory.allocate_table();
    if (root == 0) return fail("page tables", "out of memory", "give the machine more memory");
    image_physical = kernel_physical;
    if (const auto done = map_image(kernel_physical); !done) return done;
    if (const auto done = map_all_ram(kernel_physical); !done) return done;
    // The firmware may have used global pages, which only this flushes; ours are global.
    write_cr4(read_cr4() & ~cr4::global_pages);
    write_cr3(root);
    write_cr4(read_cr4() | cr4::global_pages);
    protect_supervisor();
    return {};
}

std::uint64_t physical_in_image(const void* variable) {
    return reinterpret_cast<std::uintptr_t>(variable) - boot::kernel_base + image_physical;
}

void use_memory_map(std::span<const boot::MemoryRange> map) {
    memory_map = map;
}

Result<volatile std::byte*> map_device(std::uint64_t physical, std::uint64_t size) {
    if (meets_ram(physical, size)) return fail("device memory", "the range is RAM, not a device's");
    const auto address = map_window(physical, size, PageAccess::read_write, PageCaching::uncached);
    if (!address) return std::unexpected(address.error());
    return reinterpret_cast<volatile std::byte*>(*address);
}

Result<std::span<const std::byte>> map_firmware(std::uint64_t physical, std::size_t size) {
    if (lies_within(physical, size, is_ram)) return std::span<const std::byte>(memory_at(physical), size);
    if (!lies_within(physical, size, [](boot::MemoryKind kind) { return kind != boot::MemoryKind::mmio; }))
        return fail("firmware table", "it does not lie in memory");
    const auto address = map_window(physical, size, PageAccess::read, PageCaching::cached);
    if (!address) return std::unexpected(address.error());
    return std::span(reinterpret_cast<const std::byte*>(*address), size);
}

namespace {

/// The address of the stack's lowest byte.
Result<std::uint64_t> map_stack(std::uint64_t physical, std::uint64_t size) {
    const Locked guard(map_lock);
    const auto bottom = stack_places.take(size);
    if (!bottom) return bottom;
    if (const auto done = map(*bottom, physical, size, PageAccess::read_write); !done) {
        stack_places.give_back(*bottom, size);
        return std::unexpected(done.error());
    }
    return bottom;
}

}  // namespace

Result<std::span<std::byte>> allocate_guarded_stack(std::size_t size) {
    const std::uint64_t bytes = (size + page_size - 1) / page_size * page_size;
    const auto frames = kernel_memory().frames.allocate(bytes / frame_size);
    if (!frames) return std::unexpected(frames.error());
    const auto bottom = map_stack(*frames, bytes);
    if (!bottom) {
        static_cast<void>(kernel_memory().frames.release(*frames, bytes / frame_size));
        return std::unexpected(bottom.error());
    }
    return std::span(reinterpret_cast<std::byte*>(*bottom), bytes);
}

void release_guarded_stack(std::span<std::byte> stack) {
    const auto bottom = reinterpret_cast<std::uint64_t>(stack.data());
    const std::uint64_t physical = translate(bottom).physical;
    {
        const Locked guard(map_lock);
        if (tables().unmap(bottom, stack.size()) != MapResult::ok) panic("stack: {:#x} is not one", bottom);
    }
    flush_tlb_everywhere({.start = bottom, .size = stack.size()});
    const auto released = kernel_memory().frames.release(physical, stack.size() / frame_size);
    if (!released) panic("stack at {:#x}: {}", bottom, released.error().why);
    const Locked guard(map_lock);
    stack_places.give_back(bottom, stack.size());
}

Result<std::uint64_t> LowPageTables::build(std::uint64_t page) {
    // As the manual numbers them: the top level first.
    for (std::uint64_t& table : tables_) {
        const auto frame = kernel_memory().frames.allocate(1, {.below = std::uint64_t{4} << 30});
        if (!frame) return frame;
        table = *frame;
        std::memset(memory_at(table), 0, frame_size);
    }
    std::memcpy(memory_at(tables_[0]), memory_at(root), frame_size);
    std::uint64_t span = page_size_1g * 512;
    for (unsigned level = 0; level < 4; ++level, span /= 512) {
        const std::uint64_t next = level < 3 ? tables_[level + 1] | page_bit::writable : page;
        table_memory.store(table_memory.table(tables_[level]) + page / span % 512, next | page_bit::present);
    }
    return tables_[0];
}

LowPageTables::~LowPageTables() {
    for (const std::uint64_t table : tables_)
        if (table != 0) static_cast<void>(kernel_memory().frames.release(table, 1));
}

bool is_stack_guard(std::uint64_t address) {
    return stack_places.contains(address) && !translate(address).mapped;
}

bool is_kernel_code(std::uint64_t address) {
    return address >= address_of(exo_text_start) && address < address_of(exo_text_end);
}

bool is_readable(std::uintptr_t address) {
    return translate(address).mapped;
}

}  // namespace exo::guest::arch
