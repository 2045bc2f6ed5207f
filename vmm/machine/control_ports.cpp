#include "vmm/machine/control_ports.h"

#include "shared/platform/exit_status.h"
#include "vmm/machine/io_value.h"

namespace exo::vmm {

namespace {

constexpr std::uint8_t debug_port_present = 0xe9;
constexpr std::uint8_t fast_reset = 1u << 0;
constexpr std::uint8_t pulse_reset = 0xfe;

}  // namespace

void DebugPort::read(std::uint64_t /*offset*/, std::span<std::byte> data) {
    put_ones(data);
    put_value(data.first(1), debug_port_present);
}

void DebugPort::write(std::uint64_t /*offset*/, std::span<const std::byte> data) {
    if (output_) output_(data);
}

std::uint8_t SystemControlPort::read_byte(std::uint64_t /*offset*/) {
    return value_;
}

void SystemControlPort::write_byte(std::uint64_t /*offset*/, std::uint8_t value) {
    value_ = value & ~fast_reset;
    if (value & fast_reset) events_.reset_requested();
}

void KeyboardCommandPort::write_byte(std::uint64_t /*offset*/, std::uint8_t value) {
    if (value == pulse_reset) events_.reset_requested();
}

void ExitPort::read(std::uint64_t /*offset*/, std::span<std::byte> data) {
    put_ones(data);
}

void ExitPort::write(std::uint64_t offset, std::span<const std::byte> data) {
    if (offset != 0 || data.size() != size) return;
    const auto status = static_cast<std::uint16_t>(value_of(data));
    const bool allowed = status <= platform::guest_status_max || status == platform::status_guest_panic;
    events_.exit_requested(allowed ? status : platform::status_guest_died);
}

void PhasePort::read(std::uint64_t /*offset*/, std::span<std::byte> data) {
    put_ones(data);
}

void PhasePort::write(std::uint64_t /*offset*/, std::span<const std::byte> data) {
    const std::uint64_t value = value_of(data);
    if (data.size() != 1 || value < static_cast<std::uint8_t>(platform::BootPhase::loader_entry) ||
        value > static_cast<std::uint8_t>(platform::BootPhase::firmware_done))
        return;
    events_.boot_phase(static_cast<platform::BootPhase>(value));
}

void AbsentHardware::read(std::uint64_t /*offset*/, std::span<std::byte> data) {
    put_ones(data);
}

}  // namespace exo::vmm
