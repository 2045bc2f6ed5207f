#pragma once

#include "guest/arch/x86_64/interrupt_frame.h"

namespace exo::guest::arch {

/// Reports an exception of the kernel itself, with registers and backtrace, and ends the machine.
[[noreturn]] void report_exception(const InterruptFrame& frame);

}  // namespace exo::guest::arch
