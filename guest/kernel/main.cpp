#include <algorithm>
#include <atomic>
#include <new>

#include "guest/arch/arch.h"
#include "guest/arch/cpu_report.h"
#include "guest/arch/x86_64/address_space.h"
#include "guest/arch/x86_64/boot.h"
#include "guest/arch/x86_64/clock.h"
#include "guest/arch/x86_64/cpu_identity.h"
#include "guest/arch/x86_64/interrupts.h"
#include "guest/arch/x86_64/local_apic.h"
#include "guest/arch/x86_64/machine_services.h"
#include "guest/arch/x86_64/simd.h"
#include "guest/arch/x86_64/start_cpus.h"
#include "guest/drivers/block/disk_registry.h"
#include "guest/drivers/block/find_disks.h"
#include "guest/kernel/boot_environment.h"
#include "guest/kernel/machine_control.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/services.h"
#include "guest/kernel/shell.h"
#include "guest/kernel/symbols.h"
#include "guest/memory/boot_memory.h"
#include "guest/memory/kernel_memory.h"
#include "guest/memory/leak_watch.h"
#include "guest/memory/memory_statistics.h"
#include "guest/sched/scheduler.h"

/// The start-up of the kernel, in the order in which things come to life.
namespace exo::guest {
namespace {

constexpr std::size_t main_stack_size = 128 << 10;

constinit SerialConsole serial;
/// BootInfo as the loader wrote it; gone once `keep_boot_information` has run.
constinit const boot::BootInfo* boot_info = nullptr;
/// For the other processors, as soon as there is one.
constinit std::atomic<Scheduler*> scheduler = nullptr;

/// Ends the kernel when a step without which it cannot go on failed.
template <typename T>
T required(Result<T>&& result) {
    if (!result) panic("{}: {}. {}", result.error().what, result.error().why, result.error().action);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// A copy of text in memory that is never freed.
std::string_view keep_text(std::string_view text) {
    char* const copy = new (std::nothrow) char[std::max<std::size_t>(text.size(), 1)];
    if (copy == nullptr) panic("start-up: no memory for {} bytes that the loader handed over", text.size());
    std::ranges::copy(text, copy);
    return {copy, text.size()};
}

std::string_view text_at(std::uint64_t physical, std::size_t size) {
    return {reinterpret_cast<const char*>(arch::memory_at(physical)), size};
}

/// The option cpus=N of the command line.
unsigned cpu_limit(const boot::BootInfo& info) {
    const CommandLine line(text_at(info.command_line, info.command_line_size));
    const auto asked = line.option("cpus");
    unsigned limit = 0;
    for (const char digit : asked.value_or("")) {
        if (digit < '0' || digit > '9' || limit > arch::maximum_cpus) break;
        limit = limit * 10 + static_cast<unsigned>(digit - '0');
    }
    return limit == 0 ? arch::maximum_cpus : limit;
}

std::span<const boot::MemoryRange> keep_memory_map(const boot::BootInfo& info) {
    const auto* const from = reinterpret_cast<const boot::MemoryRange*>(arch::memory_at(info.memory_map));
    auto* const copy = new (std::nothrow) boot::MemoryRange[info.memory_map_count];
    if (copy == nullptr) panic("start-up: no memory for the memory map");
    std::copy_n(from, info.memory_map_count, copy);
    return {copy, info.memory_map_count};
}

void keep_symbols() {
    const Symbols& found = kernel_symbols();
    auto* const memory = new (std::nothrow) std::byte[found.copy_size() + 1];
    set_kernel_symbols(memory != nullptr ? found.copy_to({memory, found.copy_size()}) : Symbols());
}

/// Copies what the kernel needs from the loader, and takes the loader's memory.
void keep_boot_information() {
    const boot::BootInfo info = *boot_info;
    BootEnvironment environment;
    environment.command_line = CommandLine(keep_text(text_at(info.command_line, info.command_line_size)));
    environment.memory_map = keep_memory_map(info);
    if (info.firmware_vendor != 0) {
        const auto* const vendor = reinterpret_cast<const char*>(arch::memory_at(info.firmware_vendor));
        environment.firmware_vendor = keep_text(vendor);
    }
    environment.firmware_revision = info.firmware_revision;
    environment.uefi_revision = info.uefi_revision;
    environment.loader_tsc = info.loader_tsc;
    if (info.boot_disk.sectors != 0) environment.boot_disk = info.boot_disk;
    set_boot_environment(environment);
    keep_symbols();
    arch::use_memory_map(environment.memory_map);
    release_loader_memory(kernel_memory().frames, environment.memory_map, info.kernel_physical,
                          info.kernel_size);
    boot_info = nullptr;
}

template <typename... Args>
void banner_line(std::string_view name, FormatString<std::type_identity_t<Args>...> text,
                 const Args&... args) {
    print("  {:<12}", name);
    print(text, args...);
    print("\n");
}

void print_acpi_line(const arch::AcpiFindings& acpi) {
    if (!acpi.tables) return banner_line("acpi", "none: {}", acpi.reason);
    banner_line("acpi", "revision {}, {} tables{}{}", acpi.tables->revision(), acpi.tables->all().size(),
                acpi.tables->rejected() != 0 ? ", some rejected" : "",
                acpi.can_switch_off ? "" : ", no soft-off");
}

void print_banner(const arch::AcpiFindings& acpi) {
    const BootEnvironment& boot = boot_environment();
    const arch::ClockDescription& clock = arch::clock_description();
    const std::string_view hypervisor = arch::hypervisor_name();
    print("\nExo-OS " EXO_VERSION " (" EXO_BUILD_TYPE ")\n");
    if (boot.uefi_revision == 0)
        banner_line("firmware", "none, started directly");
    else
        banner_line("firmware", "{}, UEFI {}.{}",
                    boot.firmware_vendor.empty() ? "unknown" : boot.firmware_vendor, boot.uefi_revision >> 16,
                    (boot.uefi_revision & 0xffff) / 10);
    banner_line("platform", "{}{}{}", arch::platform_name(), hypervisor.empty() ? "" : ", under ",
                hypervisor);
    banner_line("cpu", "{}, {} of {} in use", arch::cpu_name(), arch::cpu_count(), arch::machine_cpu_count());
    banner_line("interrupts", "{}, {} I/O APIC{}{}", arch::local_apic_is_x2apic() ? "x2APIC" : "xAPIC",
                arch::io_apic_count(), arch::io_apic_count() == 1 ? "" : "s",
                arch::local_apic_saves_ends_of_interrupt() ? ", paravirtual EOI" : "");
    const MemoryStatistics memory = memory_statistics();
    banner_line("memory", "{}, {} free", Bytes{memory.total}, Bytes{memory.free});
    banner_line("clock", "TSC at {}{}, by {}", Hertz{clock.tsc_frequency},
                clock.invariant ? ", invariant" : "", clock.calibrated_by);
    print_acpi_line(acpi);
}

void print_disk_lines() {
    if (disk_registry().disks().empty()) banner_line("disks", "none");
    for (const Disk& disk : disk_registry().disks()) {
        const DiskInfo& info = disk.device->info();
        banner_line(disk.name(), "{}, {}{}", Bytes{info.sectors * sector_size}, info.driver,
                    info.read_only ? ", read-only" : "");
    }
}

/// Devices, then whatever the machine was started for.
void run() {
    DriverServices& machine = services();
    const auto pci_ports = machine.registers.map_ports(PciPortConfig::first_port, PciPortConfig::port_count);
    if (!pci_ports) panic("PCI: {}", pci_ports.error().why);
    PciPortConfig pci(**pci_ports);
    if (const auto asked = boot_environment().command_line.option("adaptive_drivers"); asked == "off")
        machine.adaptive = false;
    find_disks(pci, machine, disk_registry());
    if (boot_environment().boot_disk) disk_registry().find_boot_disk(*boot_environment().boot_disk, machine);
    print_disk_lines();
    arch::mark_phase(platform::BootPhase::ready);
    banner_line("ready", "{} after the loader's start", Duration{machine.time.now_ns()});
    print("\n");
    const LeakWatch leaks;
    const unsigned status = run_session(console(), boot_environment().command_line.command());
    Thread::current()->scheduler().reclaim();
    leaks.report(console());
    exit_machine(status);
}

/// The option scheduler=NAME of the command line.
PolicyKind scheduling_policy() {
    const auto asked = boot_environment().command_line.option("scheduler");
    if (!asked) return default_policy;
    const auto known = policy_named(*asked);
    if (!known)
        warn("scheduler={}: there is no such policy, {} is used; the names are {} and {}", *asked,
             name_of(default_policy), name_of(PolicyKind::predictive), name_of(PolicyKind::round_robin));
    return known.value_or(default_policy);
}

/// What another processor does from its start on.
void join_scheduler(unsigned) {
    while (scheduler.load() == nullptr) arch::wait_for_interrupt(arch::no_deadline);
    scheduler.load()->run_cpu();
}

/// The rest is up to threads; the first does what the machine was started for. This stack is what the
/// processor idles on.
[[noreturn]] void start_threads() {
    static const SimdFormat simd = SimdFormat::of_this_cpu();
    Scheduler& made = *required(Scheduler::create(arch::cpu_count(), scheduling_policy(), &simd)).release();
    required(made.spawn({.name = "main", .stack_size = main_stack_size}, run)).detach();
    arch::disable_interrupts();
    scheduler = &made;
    for (unsigned cpu = 1; cpu < arch::cpu_count(); ++cpu) arch::interrupt_cpu(cpu);
    made.run_cpu();
    panic("the scheduler has stopped");
}

/// On the first stack, with memory under the kernel's own management.
[[noreturn]] void start_up() {
    arch::run_static_constructors();
    arch::enable_simd();
    keep_boot_information();
    required(arch::start_interrupts_and_clock(serial, boot_environment().loader_tsc));
    install_services(arch::machine_services());
    arch::start_other_cpus(join_scheduler);
    print_banner(arch::acpi_findings());
    start_threads();
}

}  // namespace
}  // namespace exo::guest

/// The first C++ code of the kernel, from start.S: on a small stack and the loader's page tables.
extern "C" [[noreturn]] void exo_kernel_start(const exo::boot::BootInfo* info) {
    using namespace exo::guest;
    arch::start_console(serial);
    arch::mark_phase(exo::platform::BootPhase::kernel_entry);
    if (info->magic != exo::boot::boot_info_magic || info->version != exo::boot::boot_info_version ||
        info->size != sizeof(*info))
        panic("the loader's boot information is not of version {}: loader and kernel are of different builds",
              exo::boot::boot_info_version);
    boot_info = info;
    set_kernel_symbols(
        Symbols({reinterpret_cast<const std::uint8_t*>(arch::memory_at(info->elf_image)), info->elf_size}));
    const std::uintptr_t stack = required(arch::take_memory(*info, cpu_limit(*info)));
    arch::continue_on_stack(stack, start_up);
}
