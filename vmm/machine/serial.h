#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>

#include "vmm/base/state_archive.h"
#include "vmm/machine/byte_handler.h"
#include "vmm/machine/level_line.h"

namespace exo::vmm {

/// Where the guest's serial output goes. Called on vCPU threads with the port locked: must not block.
class SerialOutput {
  public:
    virtual ~SerialOutput() = default;
    /// Takes as many bytes from the front as there is room for; returns how many.
    virtual std::size_t put(std::span<const std::byte> bytes) = 0;
};

/// A 16550A with its FIFOs (National Semiconductor PC16550D data sheet) at infinite line speed: what the
/// guest sends is out at once, unless the output is full: then the transmitter stays busy, which the guest
/// sees and waits for. Input waits in a queue of bounded size until the guest has read what came before.
class Serial final : public ByteHandler {
  public:
    static constexpr std::size_t fifo_size = 16;
    static constexpr std::size_t input_limit = 4096;

    Serial(SerialOutput& output, LevelLine& interrupt) : output_(output), interrupt_(interrupt) {}

    /// Queues input, from any thread. Returns how many bytes it took: fewer than given when the guest is not
    /// reading.
    std::size_t receive(std::span<const std::byte> bytes);
    /// Bytes that `receive` would take now.
    std::size_t input_room() const;
    /// Called, with the port locked, when the queue is half empty again after input was refused. Set before
    /// the guest runs.
    void set_input_drained(std::function<void()> callback) { input_drained_ = std::move(callback); }

    /// Called once, with the port locked, when the guest lets received data interrupt it: firmware polls, so
    /// from then on an operating system reads what comes. Set before the guest runs.
    void set_input_awaited(std::function<void()> callback) { input_awaited_ = std::move(callback); }

    /// To be called when the output has room after it had none.
    void output_ready();

    /// Saves or loads the chip and the input that waits for it. While the guest does not run.
    void exchange_state(StateArchive& archive);

  private:
    std::uint8_t read_byte(std::uint64_t offset) override;
    void write_byte(std::uint64_t offset, std::uint8_t value) override;

    std::size_t fifo_depth() const;
    std::uint8_t read_data();
    std::uint8_t read_line_status();
    std::uint8_t modem_status_value() const;
    std::uint8_t read_interrupt_id();
    std::uint8_t pending_interrupt() const;
    void write_data(std::uint8_t value);
    void write_interrupt_enable(std::uint8_t value);
    void write_fifo_control(std::uint8_t value);
    void drain_output();
    void refill();
    void tell_input_is_awaited();
    void update_interrupt();

    mutable std::mutex mutex_;
    SerialOutput& output_;
    LevelLine& interrupt_;
    std::function<void()> input_drained_;
    std::function<void()> input_awaited_;
    std::deque<std::byte> input_;     ///< waiting outside the chip
    std::deque<std::byte> received_;  ///< receiver FIFO
    std::deque<std::byte> transmit_;  ///< transmitter FIFO, empty unless the output is full
    std::uint8_t interrupt_enable_ = 0;
    std::uint8_t fifo_control_ = 0;
    std::uint8_t line_control_ = 0;
    std::uint8_t modem_control_ = 0;
    std::uint8_t scratch_ = 0;
    std::uint16_t divisor_ = 12;
    bool transmitter_told_ = true;  ///< the "transmitter empty" interrupt was acknowledged, or never due
    bool overrun_ = false;
    bool input_refused_ = false;
    bool asserted_ = false;
};

}  // namespace exo::vmm
