#include "guest/kernel/machine_control.h"

#include <algorithm>

#include "guest/arch/arch.h"
#include "guest/kernel/console.h"
#include "shared/platform/exit_status.h"
#include "shared/platform/platform.h"

namespace exo::guest {
namespace {

constinit MachineControl control;

constexpr std::uint16_t delay_port =
    0x80;  // POST codes; an access takes about a microsecond on a real machine
constexpr std::uint16_t reset_control_port = 0xcf9;
constexpr std::uint16_t keyboard_command_port = 0x64;
constexpr std::uint16_t pci_address_port = 0xcf8;
constexpr std::uint16_t pci_data_port = 0xcfc;

constexpr std::uint16_t pm1_sci_enabled = 1u << 0;
constexpr std::uint16_t pm1_sleep_type = 7u << 10;
constexpr std::uint16_t pm1_sleep_enable = 1u << 13;

/// A delay that needs no clock.
void delay_us(Registers& ports, unsigned microseconds) {
    for (; microseconds > 0; --microseconds) ports.read8(delay_port);
}

void sleep(Registers& ports, std::uint16_t control_port, std::uint8_t type) {
    const unsigned kept = ports.read16(control_port) & ~unsigned{pm1_sleep_type | pm1_sleep_enable};
    ports.write16(control_port, static_cast<std::uint16_t>(kept | unsigned{type} << 10 | pm1_sleep_enable));
}

void write_reset_register(Registers& ports, const acpi::GenericAddress& reset, std::uint8_t value) {
    switch (reset.space) {
        case acpi::GenericAddress::Space::io:
            ports.write8(reset.address, value);
            break;
        case acpi::GenericAddress::Space::pci_configuration: {
            // Device in bits 32 to 47, function in 16 to 31, offset below; on bus 0.
            const std::uint32_t function = static_cast<std::uint32_t>(reset.address >> 32 & 0x1f) << 11 |
                                           static_cast<std::uint32_t>(reset.address >> 16 & 0x7) << 8;
            const std::uint32_t offset = reset.address & 0xff;
            ports.write32(pci_address_port, 0x8000'0000 | function | (offset & 0xfc));
            ports.write8(pci_data_port + (offset & 3), value);
            break;
        }
        case acpi::GenericAddress::Space::memory:
            break;  // no machine the kernel runs on has one
    }
}

}  // namespace

MachineControl& machine_control() {
    return control;
}

void MachineControl::set_acpi(const acpi::Fadt& fadt, std::optional<acpi::SleepType> soft_off) {
    fadt_ = fadt;
    soft_off_ = soft_off;
}

void MachineControl::soft_off() {
    if (!soft_off_ || !fadt_.pm1a_control) return;
    if ((ports_->read16(*fadt_.pm1a_control) & pm1_sci_enabled) == 0 && fadt_.smi_command != 0 &&
        fadt_.acpi_enable != 0) {
        ports_->write8(fadt_.smi_command, fadt_.acpi_enable);
        for (int i = 0; i < 300 && (ports_->read16(*fadt_.pm1a_control) & pm1_sci_enabled) == 0; ++i)
            delay_us(*ports_, 1'000);
    }
    sleep(*ports_, *fadt_.pm1a_control, soft_off_->pm1a);
    if (fadt_.pm1b_control) sleep(*ports_, *fadt_.pm1b_control, soft_off_->pm1b);
    delay_us(*ports_, 1'000'000);
}

void MachineControl::try_end(std::uint16_t status) {
    if (ports_ == nullptr) return;
    if (has_exit_port_) ports_->write16(platform::exit_port, status);
    soft_off();
    for (const char character : std::string_view("Shutdown"))
        ports_->write8(platform::bochs_shutdown_port, static_cast<std::uint8_t>(character));
}

void MachineControl::end(std::uint16_t status) {
    arch::disable_interrupts();
    arch::stop_other_cpus();
    console().flush();
    try_end(status);
    console().write("This machine cannot be switched off by software; it is stopped.\n");
    arch::halt();
}

void MachineControl::try_restart() {
    if (ports_ == nullptr) return;
    if (fadt_.reset_register) {
        write_reset_register(*ports_, *fadt_.reset_register, fadt_.reset_value);
        delay_us(*ports_, 50'000);
    }
    ports_->write8(reset_control_port, 0x02);
    delay_us(*ports_, 50);
    ports_->write8(reset_control_port, 0x06);
    delay_us(*ports_, 50'000);
    ports_->write8(keyboard_command_port, 0xfe);
    delay_us(*ports_, 50'000);
}

void MachineControl::restart() {
    arch::disable_interrupts();
    arch::stop_other_cpus();
    console().flush();
    try_restart();
    arch::triple_fault();
}

void exit_machine(unsigned status) {
    const auto reported = static_cast<std::uint16_t>(std::min<unsigned>(status, platform::guest_status_max));
    print("{}{}\n", platform::exit_trailer, reported);
    control.end(reported);
}

void reboot_machine() {
    control.restart();
}

}  // namespace exo::guest
