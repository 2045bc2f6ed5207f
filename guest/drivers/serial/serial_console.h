#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "guest/drivers/serial/uart_16550.h"
#include "guest/drivers/time_source.h"
#include "guest/kernel/console.h"
#include "guest/sched/wait_queue.h"

namespace exo::guest {

/// The console on a serial line. Input is gathered by the receive interrupt, so that nothing typed is lost
/// while the kernel computes; before there are interrupts, or without them, whoever reads looks at the UART.
class SerialConsole final : public Console {
  public:
    static constexpr std::size_t input_capacity = 1024;

    void start(Registers& registers) { uart_.start(registers); }
    bool present() const { return uart_.present(); }
    /// From now on `handle_interrupt` is called for every interrupt of the UART, and `time` is there to wait.
    void use_interrupts(TimeSource& time);
    void handle_interrupt();

    void write(std::string_view text) override;
    void flush() override { uart_.flush(); }
    std::optional<char> read() override;
    bool wait_for_input(std::uint64_t deadline_ns) override;

    /// Characters that came in faster than they were read.
    std::uint64_t overruns() const { return overruns_; }

  private:
    /// Moves what the UART holds into the buffer.
    void drain() EXO_THREAD_SAFETY(requires_capability(readers_));
    bool empty() const EXO_THREAD_SAFETY(requires_capability(readers_)) { return read_ == written_; }
    bool take_line();

    Uart16550 uart_;
    TimeSource* time_ = nullptr;
    std::atomic<bool> line_taken_ = false;  ///< somebody is writing
    WaitQueue readers_;
    std::array<char, input_capacity> input_ EXO_THREAD_SAFETY(guarded_by(readers_)) = {};
    /// Counts on; the place in the buffer is the remainder.
    std::size_t read_ EXO_THREAD_SAFETY(guarded_by(readers_)) = 0;
    std::size_t written_ EXO_THREAD_SAFETY(guarded_by(readers_)) = 0;
    std::atomic<std::uint64_t> overruns_ = 0;
};

}  // namespace exo::guest
