#include "guest/drivers/acpi/tables.h"

#include <algorithm>
#include <cstring>

#include "guest/drivers/acpi/bytes.h"

namespace exo::guest::acpi {
namespace {

constexpr std::size_t rsdp_size = 20;
constexpr std::size_t rsdp_size_2 = 36;

struct Root {
    std::uint64_t rsdt;
    std::uint64_t xsdt;  ///< 0 when there is none
    unsigned revision;
};

Result<Root> read_root_pointer(PhysicalMemory& memory, std::uint64_t physical) {
    constexpr std::string_view what = "ACPI root pointer";
    const auto bytes = memory.view(physical, rsdp_size);
    if (!bytes) return std::unexpected(bytes.error());
    if (std::memcmp(bytes->data(), "RSD PTR ", 8) != 0) return fail(what, "it has no signature");
    if (!sums_to_zero(*bytes)) return fail(what, "its checksum is wrong");
    Root root{.rsdt = acpi::read<std::uint32_t>(*bytes, 16).value_or(0),
              .xsdt = 0,
              .revision = acpi::read<std::uint8_t>(*bytes, 15).value_or(0)};
    if (root.revision < 2) return root;
    const auto extended = memory.view(physical, rsdp_size_2);
    if (!extended || acpi::read<std::uint32_t>(*extended, 20) != rsdp_size_2 || !sums_to_zero(*extended))
        return root;
    root.xsdt = acpi::read<std::uint64_t>(*extended, 24).value_or(0);
    return root;
}

Result<Table> read_table(PhysicalMemory& memory, std::uint64_t physical) {
    constexpr std::string_view what = "ACPI table";
    const auto header = memory.view(physical, table_header_size);
    if (!header) return std::unexpected(header.error());
    const std::size_t length = acpi::read<std::uint32_t>(*header, 4).value_or(0);
    if (length < table_header_size || length > Tables::max_table_size)
        return fail(what, "its length is impossible");
    const auto bytes = memory.view(physical, length);
    if (!bytes) return std::unexpected(bytes.error());
    if (!sums_to_zero(*bytes)) return fail(what, "its checksum is wrong");
    Table table{.bytes = *bytes};
    std::memcpy(table.signature.data(), bytes->data(), table.signature.size());
    return table;
}

}  // namespace

Result<Tables> Tables::read(PhysicalMemory& memory, std::uint64_t rsdp) {
    const auto root = read_root_pointer(memory, rsdp);
    if (!root) return std::unexpected(root.error());
    Tables tables;
    tables.revision_ = root->revision;
    if (root->xsdt != 0) {
        const auto xsdt = read_table(memory, root->xsdt);
        if (xsdt && xsdt->name() == "XSDT") {
            tables.read_root(memory, *xsdt, sizeof(std::uint64_t));
            return tables;
        }
    }
    const auto rsdt = read_table(memory, root->rsdt);
    if (!rsdt) return std::unexpected(rsdt.error());
    if (rsdt->name() != "RSDT") return fail("ACPI root table", "it has the wrong name");
    tables.read_root(memory, *rsdt, sizeof(std::uint32_t));
    return tables;
}

void Tables::read_root(PhysicalMemory& memory, const Table& root, std::size_t entry_size) {
    for (std::size_t offset = table_header_size; root.bytes.size() - offset >= entry_size;
         offset += entry_size) {
        std::uint64_t physical = 0;
        std::memcpy(&physical, root.bytes.data() + offset, entry_size);
        add(memory, physical);
    }
}

void Tables::add(PhysicalMemory& memory, std::uint64_t physical) {
    const auto table = read_table(memory, physical);
    if (!table || count_ == max_tables) {
        ++rejected_;
        return;
    }
    tables_[count_++] = *table;
}

const Table* Tables::find(std::string_view name, std::size_t index) const {
    for (const Table& table : all())
        if (table.name() == name && index-- == 0) return &table;
    return nullptr;
}

}  // namespace exo::guest::acpi
