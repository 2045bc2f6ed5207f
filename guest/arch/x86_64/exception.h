#pragma once

#include <cstdint>

#include "guest/arch/x86_64/interrupt_frame.h"

namespace exo::guest::arch {

/// Reports an exception of the kernel itself, with registers and backtrace, and ends the machine.
[[noreturn]] void report_exception(const InterruptFrame& frame);

/// Takes the exception when it is the processor's refusal of a register that was only tried
/// (arch/processor_registers.h): execution then goes on where that is told. False otherwise.
bool recover_from_refused_msr(InterruptFrame& frame);

/// While it lives, a breakpoint instruction is counted, and execution goes on behind it. At other times it
/// ends the kernel, as every exception does. For the kernel's test of its own exceptions.
class BreakpointCounter {
  public:
    BreakpointCounter() { current = this; }
    ~BreakpointCounter() { current = nullptr; }
    BreakpointCounter(const BreakpointCounter&) = delete;
    BreakpointCounter& operator=(const BreakpointCounter&) = delete;

    std::uint64_t count() const { return count_; }
    /// Where the last one was.
    const InterruptFrame& last() const { return last_; }

    /// Counts the exception if it is a breakpoint that someone counts; false otherwise.
    static bool take(const InterruptFrame& frame);

  private:
    static BreakpointCounter* current;
    volatile std::uint64_t count_ = 0;
    InterruptFrame last_ = {};
};

}  // namespace exo::guest::arch
