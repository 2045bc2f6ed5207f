#pragma once

#include <cstdint>

namespace exo::guest::arch {

/// Stacks that the processor switches to by itself, for exceptions that may come when the present one is bad.
enum class InterruptStack : std::uint8_t { double_fault = 1, nmi = 2, machine_check = 3 };

/// Loads the segment table, the task state with small stacks of its own, and the interrupt table with an
/// entry for every vector.
void load_descriptor_tables();

/// From now on the processor uses the memory below `top` as that stack.
void set_interrupt_stack(InterruptStack stack, std::uintptr_t top);

}  // namespace exo::guest::arch
