#pragma once

namespace exo::guest::arch {

/// At the end of an interrupt, after it has been acknowledged.
void run_interrupt_exit_hook();

}  // namespace exo::guest::arch
