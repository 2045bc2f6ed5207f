#include "guest/drivers/serial/uart_16550.h"

#include "guest/arch/arch.h"

namespace exo::guest {
namespace {

namespace reg {
constexpr std::uint64_t data = 0, divisor_low = 0, interrupt_enable = 1, divisor_high = 1, interrupt_id = 2,
                        fifo_control = 2, line_control = 3, modem_control = 4, line_status = 5;
}
constexpr std::uint8_t interrupt_receive = 0x01;
constexpr std::uint8_t fifo_enable = 0x01;
constexpr std::uint8_t fifo_is_on = 0xc0;
constexpr std::uint8_t line_8n1 = 0x03;
constexpr std::uint8_t line_divisor_access = 0x80;
constexpr std::uint8_t modem_dtr_rts_out2 = 0x0b;  // without OUT2 a PC's UART interrupts nobody
constexpr std::uint8_t status_received = 0x01;
constexpr std::uint8_t status_transmit_ready = 0x20;
constexpr std::uint8_t status_transmit_empty = 0x40;

constexpr unsigned fifo_size = 16;
/// Some seconds on any machine: long enough for a reader that takes its time.
constexpr std::uint64_t stuck_after_ticks = std::uint64_t{1} << 34;

}  // namespace

void Uart16550::start(Registers& registers) {
    // Nothing at these ports reads as all ones, which no line status is.
    if (registers.read8(reg::line_status) == 0xff) return;
    registers_ = &registers;
    registers.write8(reg::interrupt_enable, 0);
    registers.write8(reg::line_control, line_8n1 | line_divisor_access);
    registers.write8(reg::divisor_low, 1);
    registers.write8(reg::divisor_high, 0);
    registers.write8(reg::line_control, line_8n1);
    registers.write8(reg::fifo_control, fifo_enable);
    registers.write8(reg::modem_control, modem_dtr_rts_out2);
}

bool Uart16550::wait_for(std::uint8_t status_bits) {
    const auto ready = [&] { return (registers_->read8(reg::line_status) & status_bits) == status_bits; };
    if (ready()) {
        stuck_ = false;
        return true;
    }
    if (stuck_) return false;
    for (const std::uint64_t start = arch::timestamp(); arch::timestamp() - start < stuck_after_ticks;
         arch::pause())
        if (ready()) return true;
    stuck_ = true;
    return false;
}

void Uart16550::write(char character) {
    if (registers_ == nullptr) return;
    if (fifo_room_ == 0) {
        if (!wait_for(status_transmit_ready)) {
            ++dropped_;
            return;
        }
        // An empty FIFO takes 16 at once; a UART without one says so and takes one.
        fifo_room_ = (registers_->read8(reg::interrupt_id) & fifo_is_on) == fifo_is_on ? fifo_size : 1;
    }
    registers_->write8(reg::data, static_cast<std::uint8_t>(character));
    --fifo_room_;
}

void Uart16550::flush() {
    if (registers_ != nullptr) wait_for(status_transmit_empty);
}

std::optional<char> Uart16550::read() {
    if (registers_ == nullptr || (registers_->read8(reg::line_status) & status_received) == 0)
        return std::nullopt;
    return static_cast<char>(registers_->read8(reg::data));
}

void Uart16550::enable_receive_interrupt() {
    if (registers_ != nullptr) registers_->write8(reg::interrupt_enable, interrupt_receive);
}

}  // namespace exo::guest
