#include "vmm/machine/direct/start_linux.h"

#include <array>
#include <cstring>
#include <optional>

#include "vmm/machine/direct/linux_kernel.h"
#include "vmm/machine/layout.h"

namespace exo::vmm {
namespace {

constexpr std::uint64_t entry_64 = 0x200;

// The zero page (Linux, Documentation/arch/x86/zero-page.rst), beyond the setup header.
constexpr std::size_t rsdp_address = 0x070;
constexpr std::size_t e820_count = 0x1e8;
constexpr std::size_t e820_table = 0x2d0;

// The setup header's fields that the loader fills.
constexpr std::size_t video_mode = 0x1fa;
constexpr std::size_t loader_type = 0x210;
constexpr std::size_t initrd_address = 0x218;
constexpr std::size_t initrd_size = 0x21c;
constexpr std::size_t command_line_address = 0x228;
constexpr std::uint16_t video_mode_normal = 0xffff;
constexpr std::uint8_t loader_without_an_id = 0xff;

class ZeroPage {
  public:
    explicit ZeroPage(std::span<const std::byte> setup_header) {
        std::memcpy(bytes_.data() + linux_boot::header_start, setup_header.data(), setup_header.size());
    }
    template <typename T>
    void set(std::size_t offset, T value) {
        std::memcpy(bytes_.data() + offset, &value, sizeof(value));
    }
    void set_memory_map(const std::vector<MemoryMapRange>& map) {
        set(e820_count, static_cast<std::uint8_t>(map.size()));
        for (std::size_t i = 0; i < map.size(); ++i)
            set(e820_table + i * sizeof(E820Entry),
                E820Entry(map[i].where.start, map[i].where.size, map[i].kind));
    }
    std::span<const std::byte> bytes() const { return bytes_; }

  private:
    std::array<std::byte, 4096> bytes_{};
};

/// The kernel's preferred address, or the lowest above it or above 1 MiB where all of it fits.
std::optional<std::uint64_t> load_address(const LinuxKernel& kernel, std::uint64_t end) {
    const auto fits = [&](std::uint64_t start) { return start <= end && kernel.memory_size <= end - start; };
    const std::uint64_t lowest = layout::legacy_hole.end();
    if (kernel.preferred_address >= lowest && fits(kernel.preferred_address)) return kernel.preferred_address;
    const std::uint64_t aligned = (lowest + kernel.alignment - 1) / kernel.alignment * kernel.alignment;
    if (kernel.relocatable && fits(aligned)) return aligned;
    return std::nullopt;
}

/// Four GiB at their own addresses, by pages of 2 MiB.
void put_page_tables(const GuestMemory& memory) {
    constexpr std::uint64_t present_writable = 3;
    constexpr std::uint64_t large = 0x80;
    constexpr std::uint64_t table_size = 4096;
    constexpr std::size_t directories = 4;
    using Table = std::array<std::uint64_t, 512>;
    std::array<Table, 2 + directories> tables{};
    const std::uint64_t first = layout::direct::page_tables.value;
    tables[0][0] = (first + table_size) | present_writable;
    for (std::size_t i = 0; i < directories; ++i) {
        tables[1][i] = (first + (2 + i) * table_size) | present_writable;
        for (std::size_t j = 0; j < 512; ++j)
            tables[2 + i][j] = (i * layout::gib + j * 2 * layout::mib) | present_writable | large;
    }
    put(memory, layout::direct::page_tables, std::as_bytes(std::span(tables)));
}

}  // namespace

Result<CpuStart> start_linux(const LinuxKernel& kernel, const Handover& handover, std::uint64_t end,
                             const GuestMemory& memory) {
    namespace at = layout::direct;
    const auto address = load_address(kernel, end);
    if (!address || !put(memory, {*address}, kernel.payload))
        return fail("cannot load the kernel",
                    fmt::format("it needs {} MiB beside the initrd while it starts",
                                (kernel.memory_size + layout::mib - 1) / layout::mib),
                    "Give a larger --memory.");
    if (auto done = put_command_line(memory, handover.command_line, kernel.command_line_size); !done)
        return std::unexpected(done.error());

    ZeroPage page(kernel.setup_header);
    page.set(rsdp_address, handover.rsdp.value);
    page.set(video_mode, video_mode_normal);
    page.set(loader_type, loader_without_an_id);
    page.set(initrd_address, static_cast<std::uint32_t>(handover.initrd.start));
    page.set(initrd_size, static_cast<std::uint32_t>(handover.initrd.size));
    page.set(command_line_address, static_cast<std::uint32_t>(at::command_line.start));
    page.set_memory_map(handover.memory_map);
    put(memory, at::zero_page, page.bytes());
    put_page_tables(memory);
    return CpuStart{.mode = CpuStart::Mode::long_64,
                    .entry = {*address + entry_64},
                    .rsi = at::zero_page.value,
                    .page_tables = at::page_tables};
}

}  // namespace exo::vmm
