#pragma once

#include <stdint.h>

/// Exit statuses of `vmm`, and of the tools that launch the guest elsewhere. 0 to 124 belong to the guest's
/// command.
namespace exo::platform {

inline constexpr uint16_t guest_status_max = 124;
/// Nothing ran: bad usage, or the VMM could not start.
inline constexpr uint16_t status_vmm_failed = 125;
/// The guest kernel panicked; its last words are on the console.
inline constexpr uint16_t status_guest_panic = 126;
/// The guest ended without a status: triple fault, an error from KVM, or an exit the VMM does not support.
inline constexpr uint16_t status_guest_died = 127;
/// The user left with the console escape.
inline constexpr uint16_t status_user_quit = 128;
/// Ended by signal N: status_signal_base + N, as shells count.
inline constexpr uint16_t status_signal_base = 128;

}  // namespace exo::platform
