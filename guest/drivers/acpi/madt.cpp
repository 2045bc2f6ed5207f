#include "guest/drivers/acpi/madt.h"

#include "guest/drivers/acpi/bytes.h"

namespace exo::guest::acpi {
namespace {

using Bytes = std::span<const std::byte>;

enum EntryType : std::uint8_t {
    local_apic = 0,
    io_apic = 1,
    interrupt_override = 2,
    local_apic_address = 5,
    local_x2apic = 9,
};

constexpr std::uint32_t cpu_enabled = 1;

void add_cpu(Madt& madt, std::uint32_t apic_id, std::uint32_t flags) {
    if ((flags & cpu_enabled) != 0 && madt.cpu_count < Madt::max_cpus)
        madt.apic_ids[madt.cpu_count++] = apic_id;
}

void add_override(Madt& madt, Bytes entry) {
    const auto line = read<std::uint8_t>(entry, 3);
    const auto global = read<std::uint32_t>(entry, 4);
    const auto flags = read<std::uint16_t>(entry, 8);
    if (!line || !global || !flags || *line >= Madt::isa_lines) return;
    madt.isa[*line] = {.global_interrupt = *global,
                       .active_low = (*flags & 0x3) == 0x3,
                       .level_triggered = (*flags & 0xc) == 0xc};
}

void add_entry(Madt& madt, std::uint8_t type, Bytes entry) {
    switch (type) {
        case local_apic:
            return add_cpu(madt, read<std::uint8_t>(entry, 3).value_or(0),
                           read<std::uint32_t>(entry, 4).value_or(0));
        case local_x2apic:
            return add_cpu(madt, read<std::uint32_t>(entry, 4).value_or(0),
                           read<std::uint32_t>(entry, 8).value_or(0));
        case io_apic: {
            const auto address = read<std::uint32_t>(entry, 4);
            const auto first = read<std::uint32_t>(entry, 8);
            if (address && first && madt.io_apic_count < Madt::max_io_apics)
                madt.io_apics[madt.io_apic_count++] = {.address = *address, .first_interrupt = *first};
            return;
        }
        case interrupt_override:
            return add_override(madt, entry);
        case local_apic_address:
            madt.local_apic_address = read<std::uint64_t>(entry, 4).value_or(madt.local_apic_address);
            return;
        default:
            return;
    }
}

}  // namespace

Madt Madt::parse(const Table& table) {
    Madt madt;
    for (std::uint32_t line = 0; line < isa_lines; ++line) madt.isa[line].global_interrupt = line;
    madt.local_apic_address = read<std::uint32_t>(table.bytes, table_header_size).value_or(0);
    Bytes rest =
        table.bytes.size() > table_header_size + 8 ? table.bytes.subspan(table_header_size + 8) : Bytes{};
    while (rest.size() >= 2) {
        const std::size_t length = read<std::uint8_t>(rest, 1).value_or(0);
        if (length < 2 || length > rest.size()) break;
        add_entry(madt, read<std::uint8_t>(rest, 0).value_or(0), rest.first(length));
        rest = rest.subspan(length);
    }
    return madt;
}

}  // namespace exo::guest::acpi
