#pragma once

#include <stdint.h>

/// How a guest recognises our VMM and speaks to its two machine-control ports. The guest side of the same
/// facts is the same header, so neither can drift.
namespace exo::platform {

/// Subsystem id of the host bridge (PCI 00:00.0, registers 0x2C and 0x2E): from the range Red Hat sets aside
/// for experiments. QEMU shows 1af4:1100 there.
inline constexpr uint16_t subsystem_vendor = 0x1af4;
inline constexpr uint16_t subsystem_exo_vmm = 0x10ff;

/// 16-bit write: the guest ends with this status (exit_status.h). The write does not return.
inline constexpr uint16_t exit_port = 0x0600;
/// 8-bit write of a BootPhase: the VMM notes the time for its boot timeline.
inline constexpr uint16_t phase_port = 0x0602;

/// Points of the boot that the guest reports, in the order in which they pass.
enum class BootPhase : uint8_t {
    loader_entry = 1,  ///< the firmware handed over to the PE loader; in a direct boot, the first instruction
    kernel_entry = 2,  ///< first instruction of the kernel in its own address space
    ready = 3,         ///< devices probed; the shell or the command is about to start
    firmware_done = 4,  ///< before all of these: the firmware would start a kernel now (guest/chainloader)
};

/// What the chain loader starts: files of fw_cfg.
inline constexpr char kernel_file[] = "opt/exo-os/kernel";
inline constexpr char initrd_file[] = "opt/exo-os/initrd";
inline constexpr char command_line_file[] = "opt/exo-os/cmdline";

/// Bochs ends the emulation when "Shutdown" is written byte by byte to this port (its unmapped device).
inline constexpr uint16_t bochs_shutdown_port = 0x8900;

/// The console's last line before the machine ends; launchers without an exit port read the status from it.
inline constexpr char exit_trailer[] = "exo: exit status ";
inline constexpr char panic_trailer[] = "exo: panic status ";

}  // namespace exo::platform
