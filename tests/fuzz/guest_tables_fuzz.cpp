// libFuzzer on what the guest believes of its firmware: ACPI tables, the UEFI memory map, and the memory map
// of a PVH start.
//
// An input is a byte that says which, and the firmware's memory. ACPI finds its RSDP at the start of that
// memory; the byte's upper bits say whether checksums and lengths are put right first, so that what they
// guard is reached.
#include <algorithm>
#include <memory>
#include <vector>

#include "guest/arch/x86_64/pvh_start_info.h"
#include "guest/boot/memory_map.h"
#include "guest/drivers/acpi/fadt.h"
#include "guest/drivers/acpi/madt.h"
#include "guest/drivers/acpi/sleep_state.h"
#include "guest/drivers/acpi/tables.h"
#include "tests/fuzz/fuzz_input.h"

namespace exo::guest {
namespace {

using fuzz::require;

/// Copies of exactly what is asked for, so that AddressSanitizer sees one byte too far.
class Memory final : public acpi::PhysicalMemory {
  public:
    explicit Memory(std::span<const std::byte> bytes) : bytes_(bytes) {}
    Result<std::span<const std::byte>> view(std::uint64_t physical, std::size_t size) override {
        if (physical > bytes_.size() || size > bytes_.size() - physical) return fail("memory", "not there");
        views_.push_back(std::make_unique<std::byte[]>(size));
        std::copy_n(bytes_.data() + physical, size, views_.back().get());
        return std::span<const std::byte>(views_.back().get(), size);
    }

  private:
    std::span<const std::byte> bytes_;
    std::vector<std::unique_ptr<std::byte[]>> views_;
};

void fix_sum(std::span<std::byte> bytes, std::size_t at) {
    if (at >= bytes.size()) return;
    bytes[at] = std::byte{0};
    unsigned sum = 0;
    for (const std::byte byte : bytes) sum += std::to_integer<unsigned>(byte);
    bytes[at] = static_cast<std::byte>(0u - sum);
}

/// An RSDP, and one table on every 128th byte after the root's, each as long as it says.
void put_right(std::vector<std::byte>& bytes) {
    constexpr std::size_t rsdp_size = 36, stride = 128;
    if (bytes.size() < stride + acpi::table_header_size) return;
    std::memcpy(bytes.data(), "RSD PTR ", 8);
    const std::uint32_t root[2] = {stride, rsdp_size};
    std::memcpy(bytes.data() + 16, root, sizeof(root));
    const std::uint64_t wide_root = stride;
    std::memcpy(bytes.data() + 24, &wide_root, sizeof(wide_root));
    fix_sum(std::span(bytes).first(20), 8);
    fix_sum(std::span(bytes).first(rsdp_size), 32);
    for (std::size_t at = bytes.size() / stride * stride; at >= stride; at -= stride) {
        std::uint32_t size = 0;
        if (bytes.size() - at < acpi::table_header_size) continue;
        std::memcpy(&size, bytes.data() + at + 4, sizeof(size));
        if (size >= acpi::table_header_size && size <= bytes.size() - at)
            fix_sum(std::span(bytes).subspan(at, size), 9);
    }
}

void read_acpi(std::span<const std::byte> input, bool right) {
    std::vector<std::byte> bytes(input.begin(), input.end());
    if (right) put_right(bytes);
    Memory memory(bytes);
    const auto tables = acpi::Tables::read(memory, 0);
    if (!tables) return;
    require(tables->all().size() <= acpi::Tables::max_tables);
    for (const acpi::Table& table : tables->all()) {
        require(table.bytes.size() >= acpi::table_header_size);
        static_cast<void>(acpi::Fadt::parse(table));
        const acpi::Madt madt = acpi::Madt::parse(table);
        require(madt.cpu_count <= acpi::Madt::max_cpus && madt.io_apic_count <= acpi::Madt::max_io_apics);
        if (const auto off = acpi::find_soft_off(table.bytes)) require(off->pm1a < 8 && off->pm1b < 8);
    }
}

/// Sorted, without gaps of sense: no range is empty, none reaches into the next.
void check_map(std::span<const boot::MemoryRange> ranges) {
    std::uint64_t end = 0;
    for (const boot::MemoryRange& range : ranges) {
        require(range.size > 0 && range.start >= end && range.start % 4096 == 0 && range.size % 4096 == 0);
        end = range.start + range.size;
        require(end > range.start);
    }
}

template <typename T>
std::vector<T> array_of(std::span<const std::byte> bytes) {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
}

void read_uefi_map(std::span<const std::byte> input, std::size_t stride) {
    const auto words = array_of<std::uint64_t>(input);  // aligned, as firmware's is
    std::vector<boot::MemoryRange> ranges(words.size() * 8 / stride);
    ranges.resize(uefi::convert_memory_map(reinterpret_cast<const std::uint8_t*>(words.data()),
                                           words.size() * 8, stride, ranges.data()));
    check_map(ranges);
}

void read_pvh_map(std::span<const std::byte> input) {
    const auto entries = array_of<boot::pvh::MemoryMapEntry>(input);
    std::vector<boot::MemoryRange> ranges(entries.size());
    ranges.resize(arch::convert_pvh_memory_map(entries, ranges.data()));
    check_map(ranges);
}

}  // namespace
}  // namespace exo::guest

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace exo;
    fuzz::Input input(data, size);
    const auto choice = input.take<std::uint8_t>();
    if (choice % 4 < 2) guest::read_acpi(input.rest(), choice % 4 == 1);
    if (choice % 4 == 2)
        guest::read_uefi_map(input.rest(), sizeof(guest::uefi::MemoryDescriptor) + choice / 128 * 8u);
    if (choice % 4 == 3) guest::read_pvh_map(input.rest());
    return 0;
}
