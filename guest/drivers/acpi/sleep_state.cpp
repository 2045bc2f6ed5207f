#include "guest/drivers/acpi/sleep_state.h"

#include <cstring>

#include "guest/drivers/acpi/bytes.h"
#include "guest/drivers/acpi/tables.h"

namespace exo::guest::acpi {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint8_t name_op = 0x08, package_op = 0x12, zero_op = 0x00, one_op = 0x01, byte_prefix = 0x0a,
                       word_prefix = 0x0b, dword_prefix = 0x0c;

std::uint8_t at(Bytes bytes, std::size_t index) {
    return index < bytes.size() ? std::to_integer<std::uint8_t>(bytes[index]) : std::uint8_t{0xff};
}

/// A constant at the front of `bytes`, which it is taken off; only the low 3 bits of a sleep type matter, but
/// a larger one is no sleep type.
std::optional<std::uint8_t> take_sleep_type(Bytes& bytes) {
    std::size_t size = 0;
    std::uint32_t value = 0;
    switch (at(bytes, 0)) {
        case zero_op:
        case one_op:
            size = 1;
            value = at(bytes, 0);
            break;
        case byte_prefix:
            size = 2;
            value = at(bytes, 1);
            break;
        case word_prefix:
            size = 3;
            value = read<std::uint16_t>(bytes, 1).value_or(0xffff);
            break;
        case dword_prefix:
            size = 5;
            value = read<std::uint32_t>(bytes, 1).value_or(0xffff);
            break;
        default:
            return std::nullopt;
    }
    if (size > bytes.size() || value > 7) return std::nullopt;
    bytes = bytes.subspan(size);
    return static_cast<std::uint8_t>(value);
}

/// Reads a package whose operator is at the front.
std::optional<SleepType> read_package(Bytes bytes) {
    if (at(bytes, 0) != package_op) return std::nullopt;
    // The length takes 1 to 4 bytes; the top bits of the first say how many follow (20.2.4).
    const std::size_t length_bytes = 1 + (std::size_t{at(bytes, 1)} >> 6);
    const std::size_t elements = 1 + length_bytes;
    if (bytes.size() < elements + 1) return std::nullopt;
    const std::uint8_t count = at(bytes, elements);
    Bytes rest = bytes.subspan(elements + 1);
    const auto pm1a = count >= 1 ? take_sleep_type(rest) : std::nullopt;
    if (!pm1a) return std::nullopt;
    const auto pm1b = count >= 2 ? take_sleep_type(rest) : std::nullopt;
    return SleepType{.pm1a = *pm1a, .pm1b = pm1b.value_or(0)};
}

}  // namespace

std::optional<SleepType> find_soft_off(Bytes aml) {
    if (aml.size() < table_header_size) return std::nullopt;
    for (std::size_t i = table_header_size; i + 4 <= aml.size(); ++i) {
        if (std::memcmp(aml.data() + i, "_S5_", 4) != 0) continue;
        const bool named = at(aml, i - 1) == name_op || (at(aml, i - 1) == '\\' && at(aml, i - 2) == name_op);
        if (!named) continue;
        if (const auto found = read_package(aml.subspan(i + 4))) return found;
    }
    return std::nullopt;
}

}  // namespace exo::guest::acpi
