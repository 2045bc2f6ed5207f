#pragma once

#include <cstdint>

/// ACPI tables as they lie in memory (ACPI Specification 6.3, chapter 5): little-endian, without padding.
namespace exo::vmm::acpi {

#pragma pack(push, 1)

struct TableHeader {
    char signature[4];
    std::uint32_t length;
    std::uint8_t revision;
    std::uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    std::uint32_t oem_revision;
    char creator_id[4];
    std::uint32_t creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

/// Generic Address Structure (5.2.3.2).
struct Register {
    std::uint8_t space;  ///< 1: ports
    std::uint8_t bit_width;
    std::uint8_t bit_offset;
    std::uint8_t access_size;  ///< 1 byte, 2 word, 3 dword
    std::uint64_t address;
};
static_assert(sizeof(Register) == 12);

/// Root System Description Pointer (5.2.5.3).
struct Rsdp {
    char signature[8];
    std::uint8_t checksum;  ///< of the first 20 bytes
    char oem_id[6];
    std::uint8_t revision;
    std::uint32_t rsdt;
    std::uint32_t length;
    std::uint64_t xsdt;
    std::uint8_t extended_checksum;
    std::uint8_t reserved[3];
};
static_assert(sizeof(Rsdp) == 36);
inline constexpr std::uint32_t rsdp_first_part = 20;

/// Fixed ACPI Description Table, revision 6 (5.2.9).
struct Fadt {
    TableHeader header;
    std::uint32_t facs;
    std::uint32_t dsdt;
    std::uint8_t reserved1;
    std::uint8_t preferred_profile;
    std::uint16_t sci_interrupt;
    std::uint32_t smi_command;
    std::uint8_t acpi_enable;
    std::uint8_t acpi_disable;
    std::uint8_t s4bios_request;
    std::uint8_t pstate_control;
    std::uint32_t pm1a_event;
    std::uint32_t pm1b_event;
    std::uint32_t pm1a_control;
    std::uint32_t pm1b_control;
    std::uint32_t pm2_control;
    std::uint32_t pm_timer;
    std::uint32_t gpe0;
    std::uint32_t gpe1;
    std::uint8_t pm1_event_length;
    std::uint8_t pm1_control_length;
    std::uint8_t pm2_control_length;
    std::uint8_t pm_timer_length;
    std::uint8_t gpe0_length;
    std::uint8_t gpe1_length;
    std::uint8_t gpe1_base;
    std::uint8_t cst_control;
    std::uint16_t c2_latency;
    std::uint16_t c3_latency;
    std::uint16_t flush_size;
    std::uint16_t flush_stride;
    std::uint8_t duty_offset;
    std::uint8_t duty_width;
    std::uint8_t day_alarm;
    std::uint8_t month_alarm;
    std::uint8_t century;
    std::uint16_t boot_architecture;
    std::uint8_t reserved2;
    std::uint32_t flags;
    Register reset;
    std::uint8_t reset_value;
    std::uint16_t arm_boot_architecture;
    std::uint8_t minor_version;
    std::uint64_t x_facs;
    std::uint64_t x_dsdt;
    Register x_pm1a_event;
    Register x_pm1b_event;
    Register x_pm1a_control;
    Register x_pm1b_control;
    Register x_pm2_control;
    Register x_pm_timer;
    Register x_gpe0;
    Register x_gpe1;
    Register sleep_control;
    Register sleep_status;
    char hypervisor_vendor[8];
};
static_assert(sizeof(Fadt) == 276);

/// Firmware ACPI Control Structure (5.2.10): no header like the others, aligned to 64 bytes.
struct Facs {
    char signature[4];
    std::uint32_t length;
    std::uint32_t hardware_signature;
    std::uint32_t waking_vector;
    std::uint32_t global_lock;
    std::uint32_t flags;
    std::uint64_t x_waking_vector;
    std::uint8_t version;
    std::uint8_t reserved1[3];
    std::uint32_t ospm_flags;
    std::uint8_t reserved2[24];
};
static_assert(sizeof(Facs) == 64);

/// Multiple APIC Description Table (5.2.12) and the entries that follow it.
struct Madt {
    TableHeader header;
    std::uint32_t local_apic;
    std::uint32_t flags;
};
static_assert(sizeof(Madt) == 44);

struct MadtLocalApic {
    std::uint8_t type = 0;
    std::uint8_t length = 8;
    std::uint8_t processor;
    std::uint8_t apic_id;
    std::uint32_t flags;
};
static_assert(sizeof(MadtLocalApic) == 8);

struct MadtIoApic {
    std::uint8_t type = 1;
    std::uint8_t length = 12;
    std::uint8_t id;
    std::uint8_t reserved = 0;
    std::uint32_t address;
    std::uint32_t first_interrupt;
};
static_assert(sizeof(MadtIoApic) == 12);

struct MadtOverride {
    std::uint8_t type = 2;
    std::uint8_t length = 10;
    std::uint8_t bus = 0;
    std::uint8_t source;
    std::uint32_t interrupt;
    std::uint16_t flags;
};
static_assert(sizeof(MadtOverride) == 10);

struct MadtLocalNmi {
    std::uint8_t type = 4;
    std::uint8_t length = 6;
    std::uint8_t processor;
    std::uint16_t flags;
    std::uint8_t pin;
};
static_assert(sizeof(MadtLocalNmi) == 6);

#pragma pack(pop)

}  // namespace exo::vmm::acpi
