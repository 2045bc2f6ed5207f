#include "guest/drivers/acpi/fadt.h"

#include "guest/drivers/acpi/bytes.h"

namespace exo::guest::acpi {
namespace {

using Bytes = std::span<const std::byte>;

namespace offset {
constexpr std::size_t dsdt = 40, smi_command = 48, acpi_enable = 52, pm1a_control = 64, pm1b_control = 68,
                      pm_timer = 76, flags = 112, reset_register = 116, reset_value = 128, x_dsdt = 140,
                      x_pm1a_control = 172, x_pm1b_control = 184, x_pm_timer = 208;
}
constexpr std::uint32_t flag_timer_32_bit = 1u << 8, flag_reset = 1u << 10, flag_hardware_reduced = 1u << 20;

std::optional<GenericAddress> read_generic(Bytes bytes, std::size_t at) {
    const auto space = read<std::uint8_t>(bytes, at);
    const auto address = read<std::uint64_t>(bytes, at + 4);
    if (!space || !address || *address == 0) return std::nullopt;
    const bool known = *space <= static_cast<std::uint8_t>(GenericAddress::Space::pci_configuration);
    if (!known || (*space == 1 && *address > 0xffff)) return std::nullopt;
    return GenericAddress{.space = static_cast<GenericAddress::Space>(*space), .address = *address};
}

/// A register that has an old form, a port, and a new one that counts when it is there.
std::optional<GenericAddress> read_either(Bytes bytes, std::size_t extended, std::size_t plain) {
    if (const auto generic = read_generic(bytes, extended)) return generic;
    const std::uint32_t port = read<std::uint32_t>(bytes, plain).value_or(0);
    if (port == 0 || port > 0xffff) return std::nullopt;
    return GenericAddress{.space = GenericAddress::Space::io, .address = port};
}

std::optional<std::uint16_t> as_port(const std::optional<GenericAddress>& generic) {
    if (!generic || generic->space != GenericAddress::Space::io) return std::nullopt;
    return static_cast<std::uint16_t>(generic->address);
}

}  // namespace

Fadt Fadt::parse(const Table& table) {
    const Bytes bytes = table.bytes;
    const std::uint32_t flags = read<std::uint32_t>(bytes, offset::flags).value_or(0);
    const std::uint32_t smi = read<std::uint32_t>(bytes, offset::smi_command).value_or(0);
    Fadt fadt;
    fadt.dsdt = read<std::uint64_t>(bytes, offset::x_dsdt).value_or(0);
    if (fadt.dsdt == 0) fadt.dsdt = read<std::uint32_t>(bytes, offset::dsdt).value_or(0);
    fadt.pm1a_control = as_port(read_either(bytes, offset::x_pm1a_control, offset::pm1a_control));
    fadt.pm1b_control = as_port(read_either(bytes, offset::x_pm1b_control, offset::pm1b_control));
    fadt.pm_timer = read_either(bytes, offset::x_pm_timer, offset::pm_timer);
    fadt.pm_timer_32_bit = (flags & flag_timer_32_bit) != 0;
    fadt.smi_command = smi <= 0xffff ? static_cast<std::uint16_t>(smi) : std::uint16_t{0};
    fadt.acpi_enable = read<std::uint8_t>(bytes, offset::acpi_enable).value_or(0);
    if ((flags & flag_reset) != 0) fadt.reset_register = read_generic(bytes, offset::reset_register);
    fadt.reset_value = read<std::uint8_t>(bytes, offset::reset_value).value_or(0);
    fadt.hardware_reduced = (flags & flag_hardware_reduced) != 0;
    return fadt;
}

}  // namespace exo::guest::acpi
