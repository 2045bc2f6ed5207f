#include "vmm/machine/direct/direct_boot.h"

#include <array>
#include <cstring>

#include "vmm/machine/acpi/placement.h"
#include "vmm/machine/direct/start_linux.h"
#include "vmm/machine/direct/start_pvh.h"

namespace exo::vmm {
namespace {

/// Flat code of 64 bits at 0x10 and data at 0x18, as Linux wants them; a task at 0x20.
constexpr std::array<std::uint64_t, 6> descriptors{
    0, 0, 0x00af'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0x0000'8b00'0000'0067, 0};

Error does_not_fit(std::string_view what, std::uint64_t size) {
    return {fmt::format("cannot put {} into the guest's memory", what),
            fmt::format("its {} KiB do not fit beside the rest", (size + layout::kib - 1) / layout::kib),
            "Give a larger --memory."};
}

Result<AddressRange> place_at_top(std::span<const std::byte> bytes, std::string_view what, std::uint64_t last,
                                  TopOfMemory& top, const GuestMemory& memory) {
    const auto where = top.take(bytes.size(), last);
    if (!where || !put(memory, {where->start}, bytes))
        return std::unexpected(does_not_fit(what, bytes.size()));
    return AddressRange{where->start, bytes.size()};
}

}  // namespace

bool put(const GuestMemory& memory, GuestAddress start, std::span<const std::byte> bytes) {
    if (bytes.empty()) return true;
    const auto place = memory.span_at(start, bytes.size());
    if (!place) return false;
    std::memcpy(place->data(), bytes.data(), bytes.size());
    return true;
}

Result<void> put_command_line(const GuestMemory& memory, const std::string& line, std::uint64_t longest) {
    const std::uint64_t room = std::min(longest, layout::direct::command_line.size - 1);
    if (line.size() > room)
        return fail("cannot hand over the kernel's command line",
                    fmt::format("it has {} bytes, and the kernel takes {}", line.size(), room),
                    "Shorten it.");
    put(memory, {layout::direct::command_line.start},
        std::as_bytes(std::span(line.c_str(), line.size() + 1)));
    return {};
}

Result<CpuStart> load_directly(const DirectBoot& boot, const GuestMemory& memory) {
    TopOfMemory top(boot.ram);
    const std::size_t acpi_size = acpi::placed_size(boot.acpi);
    const auto acpi = top.take(acpi_size);
    if (!acpi) return std::unexpected(does_not_fit("the ACPI tables", acpi_size));
    put(memory, {acpi->start}, acpi::place(boot.acpi, {acpi->start}));
    put(memory, layout::direct::descriptors, std::as_bytes(std::span(descriptors)));

    Handover handover{.rsdp = {acpi->start},
                      .initrd = {},
                      .memory_map = direct_memory_map(boot.ram, *acpi),
                      .command_line = boot.command_line};
    const auto* const linux_kernel = std::get_if<LinuxKernel>(&boot.kernel);
    if (!boot.initrd.empty()) {
        const std::uint64_t last = linux_kernel ? linux_kernel->initrd_last : UINT32_MAX;
        const auto initrd = place_at_top(boot.initrd, "the initrd", last, top, memory);
        if (!initrd) return std::unexpected(initrd.error());
        handover.initrd = *initrd;
    }
    auto start = linux_kernel ? start_linux(*linux_kernel, handover, top.end(), memory)
                              : start_pvh(std::get<PvhKernel>(boot.kernel), handover, top, memory);
    if (!start) return start;
    start->descriptors = layout::direct::descriptors;
    start->descriptors_size = sizeof(descriptors);
    return start;
}

}  // namespace exo::vmm
