#pragma once

#include <cstdint>
#include <optional>

#include "guest/drivers/registers.h"

namespace exo::guest {

/// A 16550 UART: 115,200 baud, 8 bits, no parity. Output is polled, so that it works at any moment, a panic
/// included; a transmitter that is stuck, or not there, never hangs the caller. Input is whatever the FIFO
/// holds.
class Uart16550 {
  public:
    /// Sets the line up; what has come in before stays in the FIFO. `registers` are the UART's 8 ports.
    void start(Registers& registers);
    bool present() const { return registers_ != nullptr; }

    void write(char character);
    /// Waits until the last bit has left.
    void flush();
    std::optional<char> read();
    /// Lets the UART interrupt when there is input.
    void enable_receive_interrupt();

    /// Characters that were dropped because the transmitter did not get ready.
    std::uint64_t dropped() const { return dropped_; }

  private:
    /// Waits for bits of the line status; false when they do not come.
    bool wait_for(std::uint8_t status_bits);

    Registers* registers_ = nullptr;
    unsigned fifo_room_ = 0;  ///< characters that can be written before the status needs another look
    bool stuck_ = false;
    std::uint64_t dropped_ = 0;
};

}  // namespace exo::guest
