#include <cstdlib>
#include <cstring>
#include <vector>

#include "vmm/machine/direct/direct_boot.h"

/// Any file as a kernel to start directly: it is refused with a reason, or the guest starts inside its
/// memory, and what the VMM put there is not overwritten. The first byte says how much memory there is and
/// whether there is an initrd.
namespace exo::vmm {
namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

void check_started(const CpuStart& start, const GuestMemory& memory, const std::string& line,
                   GuestAddress rsdp_area) {
    check(memory.span_at(start.entry, 1).has_value());
    check(start.entry.value >= layout::legacy_hole.end());
    const auto text = memory.span_at({layout::direct::command_line.start}, line.size() + 1);
    check(std::memcmp(text->data(), line.c_str(), line.size() + 1) == 0);
    const auto rsdp = memory.read<std::uint64_t>(rsdp_area);
    check(rsdp && std::memcmp(&*rsdp, "RSD PTR ", 8) == 0);
}

}  // namespace
}  // namespace exo::vmm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace exo::vmm;
    if (size == 0) return 0;
    const std::uint8_t choice = data[0];
    const auto file = std::as_bytes(std::span(data + 1, size - 1));
    const auto kernel = parse_direct_kernel(file, "kernel");
    if (!kernel) {
        check(!kernel.error().why.empty() && !kernel.error().action.empty());
        return 0;
    }
    const std::uint64_t ram = layout::mib + (choice & 7u) * 512 * layout::kib + 64 * layout::kib;
    static std::vector<std::byte> bytes(8 * layout::mib);
    const GuestMemory memory({{{0}, std::span(bytes).first(layout::legacy_hole.start)},
                              {{layout::mib}, std::span(bytes).subspan(layout::mib, ram - layout::mib)}});
    acpi::Files acpi{
        .rsdp = std::vector<std::byte>(36), .tables = std::vector<std::byte>(5000), .loader = {}};
    std::memcpy(acpi.rsdp.data(), "RSD PTR ", 8);
    const std::vector<std::byte> initrd((choice & 8) != 0 ? 70'000 : 0);
    const std::string line = "-- sum";
    const auto start = load_directly(
        {.kernel = *kernel, .initrd = initrd, .command_line = line, .ram = {ram, 0}, .acpi = acpi}, memory);
    if (start) check_started(*start, memory, line, {ram - 8192});
    return 0;
}
