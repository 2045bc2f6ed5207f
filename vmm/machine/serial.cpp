#include "vmm/machine/serial.h"

#include <algorithm>
#include <array>
#include <utility>

namespace exo::vmm {

namespace {

enum Register : std::uint8_t {
    data = 0,              // and, with the latch bit, the divisor's low byte
    interrupt_enable = 1,  // and the divisor's high byte
    interrupt_id = 2,      // written: FIFO control
    line_control = 3,
    modem_control = 4,
    line_status = 5,
    modem_status = 6,
    scratch = 7,
};

constexpr std::uint8_t enable_received = 1u << 0;
constexpr std::uint8_t enable_transmitter = 1u << 1;
constexpr std::uint8_t enable_line_status = 1u << 2;
constexpr std::uint8_t enable_bits = 0x0f;

constexpr std::uint8_t id_none = 0x01;
constexpr std::uint8_t id_transmitter = 0x02;
constexpr std::uint8_t id_received = 0x04;
constexpr std::uint8_t id_line_status = 0x06;
constexpr std::uint8_t id_timeout = 0x0c;
constexpr std::uint8_t id_fifo_on = 0xc0;

constexpr std::uint8_t fifo_enable = 1u << 0;
constexpr std::uint8_t fifo_clear_received = 1u << 1;
constexpr std::uint8_t fifo_clear_transmit = 1u << 2;
constexpr std::uint8_t fifo_bits = 0xc9;

constexpr std::uint8_t divisor_latch = 0x80;
constexpr std::uint8_t interrupt_output = 1u << 3;
constexpr std::uint8_t loopback = 1u << 4;
constexpr std::uint8_t modem_control_bits = 0x1f;

constexpr std::uint8_t data_ready = 1u << 0;
constexpr std::uint8_t overrun_error = 1u << 1;
constexpr std::uint8_t holding_empty = 1u << 5;
constexpr std::uint8_t transmitter_empty = 1u << 6;

constexpr std::uint8_t lines_up = 0xb0;  // carrier, data set ready, clear to send

std::size_t trigger_level(std::uint8_t fifo_control) {
    constexpr std::array<std::size_t, 4> levels{1, 4, 8, 14};
    return fifo_control & fifo_enable ? levels[fifo_control >> 6] : 1;
}

}  // namespace

std::size_t Serial::receive(std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    const std::size_t taken = std::min(bytes.size(), input_limit - input_.size());
    input_.insert(input_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    input_refused_ = taken < bytes.size();
    refill();
    update_interrupt();
    return taken;
}

std::size_t Serial::input_room() const {
    const std::lock_guard lock(mutex_);
    return input_limit - input_.size();
}

void Serial::output_ready() {
    const std::lock_guard lock(mutex_);
    drain_output();
    update_interrupt();
}

void Serial::exchange_state(StateArchive& archive) {
    {
        const std::lock_guard lock(mutex_);
        archive.sequence(input_, input_limit);
        archive.sequence(received_, fifo_size);
        archive.sequence(transmit_, fifo_size);
        for (std::uint8_t* const part :
             {&interrupt_enable_, &fifo_control_, &line_control_, &modem_control_, &scratch_})
            archive(*part);
        archive(divisor_);
        archive(transmitter_told_);
        archive(overrun_);
        archive(asserted_);
        if (!archive.loading()) return;
        interrupt_.set(asserted_);
    }
    output_ready();
}

std::uint8_t Serial::read_byte(std::uint64_t offset) {
    const std::lock_guard lock(mutex_);
    std::uint8_t value = 0xff;
    switch (offset) {
        case Register::data:
            value = line_control_ & divisor_latch ? static_cast<std::uint8_t>(divisor_) : read_data();
            break;
        case Register::interrupt_enable:
            value =
                line_control_ & divisor_latch ? static_cast<std::uint8_t>(divisor_ >> 8) : interrupt_enable_;
            break;
        case Register::interrupt_id:
            value = read_interrupt_id();
            break;
        case Register::line_control:
            value = line_control_;
            break;
        case Register::modem_control:
            value = modem_control_;
            break;
        case Register::line_status:
            value = read_line_status();
            break;
        case Register::modem_status:
            value = modem_status_value();
            break;
        case Register::scratch:
            value = scratch_;
            break;
        default:
            break;
    }
    update_interrupt();
    return value;
}

void Serial::write_byte(std::uint64_t offset, std::uint8_t value) {
    const std::lock_guard lock(mutex_);
    const bool latch = line_control_ & divisor_latch;
    switch (offset) {
        case Register::data:
            if (latch)
                divisor_ = static_cast<std::uint16_t>((divisor_ & 0xff00) | value);
            else
                write_data(value);
            break;
        case Register::interrupt_enable:
            if (latch)
                divisor_ = static_cast<std::uint16_t>((divisor_ & 0x00ff) | value << 8);
            else
                write_interrupt_enable(value);
            break;
        case Register::interrupt_id:
            write_fifo_control(value);
            break;
        case Register::line_control:
            line_control_ = value;
            break;
        case Register::modem_control:
            modem_control_ = value & modem_control_bits;
            refill();
            tell_input_is_awaited();
            break;
        case Register::scratch:
            scratch_ = value;
            break;
        default:
            break;
    }
    update_interrupt();
}

std::size_t Serial::fifo_depth() const {
    return fifo_control_ & fifo_enable ? fifo_size : 1;
}

std::uint8_t Serial::read_data() {
    if (received_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(received_.front());
    received_.pop_front();
    refill();
    return value;
}

/// Moves waiting input into the chip as far as its FIFO has room.
void Serial::refill() {
    if (modem_control_ & loopback) return;
    while (!input_.empty() && received_.size() < fifo_depth()) {
        received_.push_back(input_.front());
        input_.pop_front();
    }
    if (input_refused_ && input_.size() <= input_limit / 2) {
        input_refused_ = false;
        if (input_drained_) input_drained_();
    }
}

void Serial::write_data(std::uint8_t value) {
    if (modem_control_ & loopback) {
        if (received_.size() < fifo_depth())
            received_.push_back(std::byte{value});
        else
            overrun_ = true;
    } else {
        // A guest that does not wait for the transmitter loses what it sends, as on the wire.
        if (transmit_.size() < fifo_depth()) transmit_.push_back(std::byte{value});
        drain_output();
    }
    transmitter_told_ = false;
}

void Serial::drain_output() {
    while (!transmit_.empty()) {
        const std::byte next = transmit_.front();
        if (output_.put({&next, 1}) == 0) return;
        transmit_.pop_front();
        transmitter_told_ = false;
    }
}

std::uint8_t Serial::read_line_status() {
    drain_output();
    std::uint8_t status = transmit_.empty() ? holding_empty | transmitter_empty : 0;
    if (!received_.empty()) status |= data_ready;
    if (overrun_) status |= overrun_error;
    overrun_ = false;
    return status;
}

/// In loopback the modem's outputs come back as its inputs.
std::uint8_t Serial::modem_status_value() const {
    if (!(modem_control_ & loopback)) return lines_up;
    const unsigned ready = modem_control_ & 1u;           // DTR → DSR
    const unsigned request = (modem_control_ >> 1) & 1u;  // RTS → CTS
    const unsigned outputs = (modem_control_ >> 2) & 3u;  // OUT1, OUT2 → RI, DCD
    return static_cast<std::uint8_t>(request << 4 | ready << 5 | outputs << 6);
}

void Serial::write_interrupt_enable(std::uint8_t value) {
    const std::uint8_t added = value & ~interrupt_enable_;
    interrupt_enable_ = value & enable_bits;
    if (added & enable_transmitter) transmitter_told_ = false;
    tell_input_is_awaited();
}

/// OUT2 connects the chip's interrupt to its line; who only probes for the chip does without. Linux switches
/// the FIFOs on last, which drops what has come before.
void Serial::tell_input_is_awaited() {
    const bool connected = (modem_control_ & (interrupt_output | loopback)) == interrupt_output;
    const bool ready = fifo_control_ & fifo_enable && interrupt_enable_ & enable_received;
    if (connected && ready && input_awaited_) std::exchange(input_awaited_, nullptr)();
}

void Serial::write_fifo_control(std::uint8_t value) {
    const bool switched = (value ^ fifo_control_) & fifo_enable;
    fifo_control_ = value & fifo_bits;
    if (switched || value & fifo_clear_received) received_.clear();
    if (switched || value & fifo_clear_transmit) transmit_.clear();
    refill();
    tell_input_is_awaited();
}

/// The chip's own order of importance. With no line speed there is no telling when a character is overdue, so
/// input below the trigger level counts as timed out at once.
std::uint8_t Serial::pending_interrupt() const {
    if (interrupt_enable_ & enable_line_status && overrun_) return id_line_status;
    if (interrupt_enable_ & enable_received && !received_.empty())
        return received_.size() >= trigger_level(fifo_control_) ? id_received : id_timeout;
    if (interrupt_enable_ & enable_transmitter && transmit_.empty() && !transmitter_told_)
        return id_transmitter;
    return id_none;
}

std::uint8_t Serial::read_interrupt_id() {
    const std::uint8_t id = pending_interrupt();
    if (id == id_transmitter) transmitter_told_ = true;
    return static_cast<std::uint8_t>(id | (fifo_control_ & fifo_enable ? id_fifo_on : 0));
}

void Serial::update_interrupt() {
    const bool asserted = pending_interrupt() != id_none;
    if (asserted == asserted_) return;
    asserted_ = asserted;
    interrupt_.set(asserted);
}

}  // namespace exo::vmm
