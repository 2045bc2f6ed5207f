#include "guest/arch/x86_64/boot.h"

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/address_space.h"
#include "guest/arch/x86_64/clock.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/interrupts.h"
#include "guest/arch/x86_64/local_apic.h"
#include "guest/arch/x86_64/port_registers.h"
#include "guest/arch/x86_64/start_cpus.h"
#include "guest/kernel/machine_control.h"
#include "guest/memory/boot_memory.h"
#include "guest/memory/kernel_memory.h"

// From start.S and kernel.ld.
extern "C" [[noreturn]] void exo_continue_on_stack(std::uintptr_t top, void (*next)());
extern "C" void (*const exo_init_array_start[])();
extern "C" void (*const exo_init_array_end[])();

namespace exo::guest::arch {
namespace {

constexpr std::uint16_t serial_port = 0x3f8;
constexpr unsigned serial_line = 4;
constexpr std::size_t main_stack_size = 128 << 10;

constinit PortRegisters serial_registers(serial_port, 8);

constexpr std::uint32_t exo_vmm_subsystem =
    std::uint32_t{platform::subsystem_exo_vmm} << 16 | platform::subsystem_vendor;
constexpr std::uint32_t qemu_subsystem = 0x1100'1af4;

constinit AcpiFindings acpi_found;

class FirmwareMemory final : public acpi::PhysicalMemory {
  public:
    Result<std::span<const std::byte>> view(std::uint64_t physical, std::size_t size) override {
        return map_firmware(physical, size);
    }
};

/// The DSDT and all SSDTs may hold the soft-off state.
std::optional<acpi::SleepType> find_soft_off(const acpi::Tables& tables) {
    for (const acpi::Table& table : tables.all()) {
        if (table.name() != "DSDT" && table.name() != "SSDT") continue;
        if (const auto found = acpi::find_soft_off(table.bytes)) return found;
    }
    return std::nullopt;
}

/// Reads the tables behind `rsdp`, 0 when there is no root, and tells machine control how to switch off.
const AcpiFindings& read_acpi(std::uint64_t rsdp) {
    static constinit FirmwareMemory memory;
    AcpiFindings& found = acpi_found;
    if (rsdp == 0) {
        found.reason = "the firmware has none";
        return found;
    }
    auto tables = acpi::Tables::read(memory, rsdp);
    if (!tables) {
        found.reason = tables.error().why;
        return found;
    }
    found.tables = *tables;
    if (const acpi::Table* const fadt = found.tables->find("FACP")) {
        found.fadt = acpi::Fadt::parse(*fadt);
        if (found.fadt->dsdt != 0) found.tables->add(memory, found.fadt->dsdt);
        const auto soft_off = find_soft_off(*found.tables);
        found.can_switch_off = soft_off && found.fadt->pm1a_control;
        machine_control().set_acpi(*found.fadt, soft_off);
    }
    if (const acpi::Table* const madt = found.tables->find("APIC")) found.madt = acpi::Madt::parse(*madt);
    return found;
}

}  // namespace

const AcpiFindings& acpi_findings() {
    return acpi_found;
}

void start_console(SerialConsole& console) {
    console.start(serial_registers);
    install_console(&console);
    machine_control().set_ports(all_ports());
    machine_control().set_has_exit_port(host_bridge_subsystem() == exo_vmm_subsystem);
    enter_first_processor();
}

bool on_exo_vmm() {
    return machine_control().has_exit_port();
}

std::string_view platform_name() {
    if (on_exo_vmm()) return "Exo VMM";
    return host_bridge_subsystem() == qemu_subsystem ? "QEMU" : "PC";
}

void mark_phase(platform::BootPhase phase) {
    if (on_exo_vmm()) out(platform::phase_port, static_cast<std::uint8_t>(phase));
}

Result<std::uintptr_t> take_memory(const boot::BootInfo& info, unsigned cpu_limit) {
    const std::span map(reinterpret_cast<const boot::MemoryRange*>(memory_at(info.memory_map)),
                        info.memory_map_count);
    if (const auto done = adopt_boot_memory(kernel_memory().frames, map); !done)
        return std::unexpected(done.error());
    // The heap takes all that is free, and wants to know how many processors it will serve.
    reserve_start_page();
    if (const auto done = enter_address_space(map, info.kernel_physical); !done)
        return std::unexpected(done.error());
    const AcpiFindings& acpi = read_acpi(info.acpi_rsdp);
    find_cpus(acpi.madt ? &*acpi.madt : nullptr, info.cpus, cpu_limit);
    if (const auto done = kernel_memory().heap.start(usable_cpu_count()); !done)
        return std::unexpected(done.error());
    if (const auto done = give_exception_stacks(0); !done) return std::unexpected(done.error());
    const auto memory = allocate_guarded_stack(main_stack_size);
    if (!memory) return std::unexpected(memory.error());
    return reinterpret_cast<std::uintptr_t>(memory->data() + memory->size());
}

void continue_on_stack(std::uintptr_t top, void (*next)()) {
    exo_continue_on_stack(top, next);
}

void run_static_constructors() {
    for (auto* constructor = exo_init_array_start; constructor != exo_init_array_end; ++constructor)
        (*constructor)();
}

Result<void> start_interrupts_and_clock(SerialConsole& console, std::uint64_t zero_tsc) {
    const AcpiFindings& acpi = acpi_found;
    if (const auto done = start_local_apic(); !done) return done;
    start_io_apics(acpi.madt ? &*acpi.madt : nullptr);
    if (const auto done = start_clock(acpi.fadt ? &*acpi.fadt : nullptr, zero_tsc); !done) return done;
    const auto handle = [](void* context) { static_cast<SerialConsole*>(context)->handle_interrupt(); };
    if (console.present() && !handle_legacy_irq(serial_line, handle, &console))
        warn("serial line: no I/O APIC brings its interrupt; input is polled");
    console.use_interrupts(system_clock());
    enable_interrupts();
    return {};
}

}  // namespace exo::guest::arch
