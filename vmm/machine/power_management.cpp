#include "vmm/machine/power_management.h"

#include "vmm/machine/io_value.h"

namespace exo::vmm {

namespace {

constexpr std::uint64_t enable_offset = 2;
constexpr std::uint64_t register_bytes = 6;  // status, enable, control

constexpr std::uint16_t timer_bit = 1u << 0;    // in status and enable
constexpr std::uint16_t enable_bits = 0x0521;   // timer, global, power button, RTC
constexpr std::uint16_t control_bits = 0x1c03;  // SCI enable, bus master reload, sleep type
constexpr std::uint16_t sleep_enable = 1u << 13;
constexpr unsigned sleep_type_shift = 10;
constexpr std::uint16_t soft_off = 0;

constexpr std::uint32_t base_is_io = 1;
constexpr std::uint32_t base_bits = 0xffc0;

constexpr std::uint32_t bridge_other = 0x06'80'00;

/// Replaces the bytes of the register at `at` that the access [offset, offset + data) covers.
std::uint16_t merged(std::uint16_t old, std::uint64_t at, std::uint64_t offset,
                     std::span<const std::byte> data) {
    std::uint32_t value = old;
    for (std::uint64_t i = 0; i < data.size(); ++i) {
        const std::uint64_t byte = offset + i - at;
        if (offset + i < at || byte > 1) continue;
        value &= ~(0xffu << (8 * byte));
        value |= std::to_integer<std::uint32_t>(data[i]) << (8 * byte);
    }
    return static_cast<std::uint16_t>(value);
}

}  // namespace

/// The timer's bit is set each time its top bit changes.
std::uint16_t PowerManagementRegisters::status() {
    constexpr unsigned top_bit = 23;
    return timer_.ticks() >> top_bit != acknowledged_half_ ? timer_bit : 0;
}

void PowerManagementRegisters::update_sci() {
    const bool asserted = status() & enable_;
    if (asserted == sci_asserted_) return;
    sci_asserted_ = asserted;
    sci_.set(asserted);
}

std::uint64_t PowerManagementRegisters::registers() {
    return status() | std::uint64_t{enable_} << 16 | std::uint64_t{control_} << 32;
}

void PowerManagementRegisters::exchange_state(StateArchive& archive) {
    const std::lock_guard lock(mutex_);
    archive(acknowledged_half_);
    archive(enable_);
    archive(control_);
    archive(sci_asserted_);
    if (!archive.loading()) return;
    enable_ &= enable_bits;
    control_ &= control_bits;
    sci_.set(sci_asserted_);
}

void PowerManagementRegisters::read(std::uint64_t offset, std::span<std::byte> data) {
    put_ones(data);
    if (offset >= register_bytes) return;
    const std::lock_guard lock(mutex_);
    update_sci();
    // Above the control register nothing answers.
    put_value(data, (registers() | 0xffff'0000'0000'0000) >> (8 * offset) | ~(UINT64_MAX >> (8 * offset)));
}

void PowerManagementRegisters::write(std::uint64_t offset, std::span<const std::byte> data) {
    bool power_off = false;
    {
        const std::lock_guard lock(mutex_);
        if (merged(0, 0, offset, data) & timer_bit) acknowledged_half_ = timer_.ticks() >> 23;
        enable_ = merged(enable_, enable_offset, offset, data) & enable_bits;
        const std::uint16_t control = merged(control_, control_offset, offset, data);
        control_ = control & control_bits;
        power_off = (control & sleep_enable) && ((control >> sleep_type_shift) & 7) == soft_off;
        update_sci();
    }
    if (power_off) events_.power_off_requested();
}

PowerManagement::PowerManagement(IoBus& ports, PowerManagementRegisters& registers, PmTimer& timer)
    : PciFunction("power management",
                  {.vendor = 0x8086, .device = 0x7113, .class_code = bridge_other, .revision = 3}),
      ports_(ports),
      timer_range_(ports.add("pm timer", PmTimer::size, timer)),
      register_range_(ports.add("power management", PowerManagementRegisters::size, registers)) {
    config_.set(pci::header_type, 1, pci::multi_function);
    config_.set(base_register, 4, base_is_io);
    config_.allow(base_register, 4, base_bits);
    config_.allow(misc_register, 1, io_enable);
    ports_.put_first(timer_range_);
}

void PowerManagement::config_written(unsigned /*offset*/, unsigned /*size*/) {
    const std::uint64_t base = config_.dword(base_register) & base_bits;
    if (config_.read(misc_register, 1) & io_enable) {
        ports_.place(register_range_, base);
        ports_.place(timer_range_, base + PowerManagementRegisters::timer_offset);
    } else {
        ports_.withdraw(register_range_);
        ports_.withdraw(timer_range_);
    }
}

}  // namespace exo::vmm
