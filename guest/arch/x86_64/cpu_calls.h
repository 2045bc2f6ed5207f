#pragma once

#include <cstdint>

#include "guest/arch/x86_64/processor.h"

/// The receiving side of what processors ask of each other.
namespace exo::guest::arch {

/// Runs `function(context)` on every processor, this one included, as interrupt handlers and all at the same
/// time; returns when all have returned. Interrupts are on.
void call_on_every_cpu(void (*function)(void* context), void* context);

/// Runs the functions that other processors handed to this one. Interrupts are off.
void run_calls(Processor& processor);

/// At the end of an interrupt, after it has been acknowledged: the hook, if this was the outermost.
void run_exit_hook(Processor& processor);

/// In a non-maskable interrupt, which came while the code at `address` ran: does not return when another
/// processor stops this one.
void stop_if_asked(std::uintptr_t address);

}  // namespace exo::guest::arch
