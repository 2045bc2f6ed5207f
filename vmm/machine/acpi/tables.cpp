#include "vmm/machine/acpi/tables.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "vmm/machine/acpi/dsdt.hex"
#include "vmm/machine/acpi/structures.h"
#include "vmm/machine/acpi/table_loader.h"
#include "vmm/machine/power_management.h"
#include "vmm/machine/rtc.h"

namespace exo::vmm::acpi {

namespace {

constexpr std::string_view oem = "EXOOS ";
constexpr std::string_view table_id = "EXOVMM  ";
constexpr std::string_view creator = "EXOS";

constexpr std::uint8_t space_io = 1;

// FADT (5.2.9): flags and boot architecture.
constexpr std::uint32_t wbinvd_works = 1u << 0;
constexpr std::uint32_t c1_everywhere = 1u << 2;
constexpr std::uint32_t no_fixed_power_button = 1u << 4;
constexpr std::uint32_t no_fixed_sleep_button = 1u << 5;
constexpr std::uint32_t no_fixed_rtc_wake = 1u << 6;
constexpr std::uint32_t has_reset_register = 1u << 10;
constexpr std::uint32_t headless = 1u << 12;
constexpr std::uint16_t has_isa_devices = 1u << 0;
constexpr std::uint16_t has_no_vga = 1u << 2;
constexpr std::uint16_t no_c_state = 0xffff;
constexpr std::uint8_t reset_value = 0x06;

// MADT (5.2.12): flags.
constexpr std::uint32_t has_8259s = 1;
constexpr std::uint32_t cpu_enabled = 1;
constexpr std::uint16_t as_bus = 0;
constexpr std::uint16_t active_high_level = 0x000d;
constexpr std::uint8_t all_processors = 0xff;
constexpr unsigned timer_irq = 0;
constexpr unsigned timer_pin = 2;
constexpr std::uint8_t nmi_pin = 1;

template <std::size_t Size>
void put(char (&field)[Size], std::string_view text) {
    std::ranges::copy(text.substr(0, Size), field);
}

TableHeader header(std::string_view signature, std::uint8_t revision, std::size_t length) {
    TableHeader header{};
    put(header.signature, signature);
    header.length = static_cast<std::uint32_t>(length);
    header.revision = revision;
    put(header.oem_id, oem);
    put(header.oem_table_id, table_id);
    header.oem_revision = 1;
    put(header.creator_id, creator);
    header.creator_revision = 1;
    return header;
}

template <typename T>
void append(std::vector<std::byte>& bytes, const T& value) {
    const auto view = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), view.begin(), view.end());
}

/// Overwrites the value of `Name (name, <64-bit integer>)` in the compiled DSDT.
void patch_name(std::span<std::byte> aml, std::string_view name, std::uint64_t value) {
    constexpr char name_op = 0x08;
    constexpr char qword_prefix = 0x0e;
    std::vector<std::byte> pattern;
    append(pattern, name_op);
    for (const char letter : name) append(pattern, letter);
    append(pattern, qword_prefix);
    const auto found = std::ranges::search(aml, pattern);
    std::memcpy(&*found.end(), &value, sizeof value);
}

std::vector<std::byte> dsdt(const layout::PciWindows& windows) {
    std::vector<std::byte> aml(sizeof dsdt_aml_code);
    std::memcpy(aml.data(), dsdt_aml_code, aml.size());
    patch_name(aml, "M64B", windows.memory64.start);
    patch_name(aml, "M64L", windows.memory64.size);
    aml[offsetof(TableHeader, checksum)] = std::byte{0};
    return aml;
}

std::vector<std::byte> madt(unsigned cpus) {
    std::vector<std::byte> bytes(sizeof(Madt));
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
        const auto id = static_cast<std::uint8_t>(cpu);
        append(bytes, MadtLocalApic{.processor = id, .apic_id = id, .flags = cpu_enabled});
    }
    append(bytes, MadtIoApic{.id = 0,
                             .address = static_cast<std::uint32_t>(layout::ioapic_base.value),
                             .first_interrupt = 0});
    append(bytes, MadtOverride{.source = timer_irq, .interrupt = timer_pin, .flags = as_bus});
    append(bytes,
           MadtOverride{.source = layout::sci_irq, .interrupt = layout::sci_irq, .flags = active_high_level});
    append(bytes, MadtLocalNmi{.processor = all_processors, .flags = as_bus, .pin = nmi_pin});

    const Madt table{.header = header("APIC", 5, bytes.size()),
                     .local_apic = static_cast<std::uint32_t>(layout::lapic_base.value),
                     .flags = has_8259s};
    std::memcpy(bytes.data(), &table, sizeof table);
    return bytes;
}

Register port(std::uint64_t address, std::uint8_t bytes) {
    const std::uint8_t access = bytes == 4 ? 3 : bytes;
    return {.space = space_io,
            .bit_width = static_cast<std::uint8_t>(8 * bytes),
            .bit_offset = 0,
            .access_size = access,
            .address = address};
}

Fadt fadt(std::size_t facs_offset, std::size_t dsdt_offset) {
    constexpr std::uint32_t base = layout::power_management_port;
    constexpr std::uint32_t control = base + PowerManagementRegisters::control_offset;
    constexpr std::uint32_t timer = base + PowerManagementRegisters::timer_offset;
    Fadt table{};
    table.header = header("FACP", 6, sizeof table);
    table.minor_version = 3;
    table.facs = static_cast<std::uint32_t>(facs_offset);
    table.dsdt = static_cast<std::uint32_t>(dsdt_offset);
    table.x_dsdt = dsdt_offset;
    table.sci_interrupt = layout::sci_irq;
    table.pm1a_event = base;
    table.pm1a_control = control;
    table.pm_timer = timer;
    table.pm1_event_length = 4;
    table.pm1_control_length = 2;
    table.pm_timer_length = 4;
    // The status register alone is 16 bits wide; event block and its length count both halves.
    table.x_pm1a_event = port(base, 4);
    table.x_pm1a_event.access_size = 2;
    table.x_pm1a_control = port(control, 2);
    table.x_pm_timer = port(timer, 4);
    table.c2_latency = no_c_state;
    table.c3_latency = no_c_state;
    table.century = Rtc::century_register;
    table.boot_architecture = has_isa_devices | has_no_vga;
    table.flags = wbinvd_works | c1_everywhere | no_fixed_power_button | no_fixed_sleep_button |
                  no_fixed_rtc_wake | has_reset_register | headless;
    table.reset = port(layout::reset_control_port, 1);
    table.reset_value = reset_value;
    put(table.hypervisor_vendor, oem);
    return table;
}

/// The blob etc/acpi/tables while it grows, with the commands that its tables need.
class TablesBlob {
  public:
    explicit TablesBlob(TableLoader& loader) : loader_(loader) {
        loader_.allocate(file, alignment, Zone::high);
    }

    /// Returns the table's offset.
    std::size_t add(std::span<const std::byte> table) {
        const std::size_t offset = bytes_.size();
        bytes_.insert(bytes_.end(), table.begin(), table.end());
        bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
        return offset;
    }
    template <typename T>
    std::size_t add_structure(const T& table) {
        return add(std::as_bytes(std::span(&table, 1)));
    }

    void pointer(std::size_t offset, std::uint8_t size) { loader_.add_pointer(file, offset, size, file); }

    /// Comes after the table's pointers: it counts them.
    void checksum(std::size_t offset) {
        TableHeader header;
        std::memcpy(&header, bytes_.data() + offset, sizeof header);
        loader_.add_checksum(file, offset + offsetof(TableHeader, checksum), offset, header.length);
    }

    std::vector<std::byte> take() { return std::move(bytes_); }

    static constexpr std::string_view file = Files::tables_name;
    static constexpr std::uint32_t alignment = 64;

  private:
    TableLoader& loader_;
    std::vector<std::byte> bytes_;
};

/// RSDT or XSDT, by the width of its pointers.
template <typename Pointer>
std::size_t add_root(TablesBlob& blob, std::string_view signature, std::span<const std::size_t> tables) {
    std::vector<std::byte> bytes;
    append(bytes, header(signature, 1, sizeof(TableHeader) + tables.size() * sizeof(Pointer)));
    for (const std::size_t table : tables) append(bytes, static_cast<Pointer>(table));
    const std::size_t offset = blob.add(bytes);
    for (std::size_t i = 0; i < tables.size(); ++i)
        blob.pointer(offset + sizeof(TableHeader) + i * sizeof(Pointer), sizeof(Pointer));
    blob.checksum(offset);
    return offset;
}

std::vector<std::byte> rsdp(TableLoader& loader, std::size_t rsdt, std::size_t xsdt) {
    Rsdp table{};
    put(table.signature, "RSD PTR ");
    put(table.oem_id, oem);
    table.revision = 2;
    table.length = sizeof table;
    table.rsdt = static_cast<std::uint32_t>(rsdt);
    table.xsdt = xsdt;
    constexpr std::string_view file = Files::rsdp_name;
    loader.allocate(file, 16, Zone::low_megabyte);
    loader.add_pointer(file, offsetof(Rsdp, rsdt), sizeof table.rsdt, Files::tables_name);
    loader.add_pointer(file, offsetof(Rsdp, xsdt), sizeof table.xsdt, Files::tables_name);
    loader.add_checksum(file, offsetof(Rsdp, checksum), 0, rsdp_first_part);
    loader.add_checksum(file, offsetof(Rsdp, extended_checksum), 0, sizeof table);
    std::vector<std::byte> bytes;
    append(bytes, table);
    return bytes;
}

}  // namespace

Files build(const Description& machine) {
    TableLoader loader;
    TablesBlob blob(loader);

    Facs facs{};
    put(facs.signature, "FACS");
    facs.length = sizeof facs;
    facs.version = 2;
    const std::size_t facs_at = blob.add_structure(facs);
    const std::size_t dsdt_at = blob.add(dsdt(machine.windows));
    blob.checksum(dsdt_at);
    const std::size_t fadt_at = blob.add_structure(fadt(facs_at, dsdt_at));
    blob.pointer(fadt_at + offsetof(Fadt, facs), sizeof(Fadt::facs));
    blob.pointer(fadt_at + offsetof(Fadt, dsdt), sizeof(Fadt::dsdt));
    blob.pointer(fadt_at + offsetof(Fadt, x_dsdt), sizeof(Fadt::x_dsdt));
    blob.checksum(fadt_at);
    const std::size_t madt_at = blob.add(madt(machine.cpus));
    blob.checksum(madt_at);

    const std::size_t roots[] = {fadt_at, madt_at};
    const std::size_t rsdt_at = add_root<std::uint32_t>(blob, "RSDT", roots);
    const std::size_t xsdt_at = add_root<std::uint64_t>(blob, "XSDT", roots);
    std::vector<std::byte> root = rsdp(loader, rsdt_at, xsdt_at);
    return {.rsdp = std::move(root), .tables = blob.take(), .loader = loader.take()};
}

}  // namespace exo::vmm::acpi
