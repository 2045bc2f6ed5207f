#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/machine/acpi/tables.h"
#include "vmm/machine/io_bus.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/level_line.h"
#include "vmm/machine/machine_events.h"
#include "vmm/machine/pci_bus.h"
#include "vmm/machine/serial.h"
#include "vmm/machine/variable_flash.h"

namespace exo::vmm {

class FwCfg;

struct PlatformConfig {
    unsigned cpus = 1;
    layout::RamSplit ram{};
    layout::PciWindows windows{};  ///< layout::pci_windows of the RAM and the CPUs' address width
    acpi::Files acpi;              ///< acpi::build of the same
    /// Views that must outlive the platform. Flash is only there to answer: the machine maps it as memory.
    std::span<const std::byte> flash_variables;
    std::span<const std::byte> flash_code;
    FlashMemory* variables = nullptr;   ///< the variable flash when the guest may write to it
    std::span<const std::byte> kernel;  ///< empty: the firmware looks for something to boot on the disks
    std::span<const std::byte> initrd;
    std::string command_line;
    /// What the firmware starts in place of the kernel; it finds kernel, initrd and command line in files.
    std::span<const std::byte> chainloader = {};
};

/// What the models need from outside. All outlive the platform.
struct PlatformPorts {
    const GuestMemory& memory;
    const Clock& clock;
    MachineEvents& events;
    SerialOutput& serial_output;
    LevelLine& serial_interrupt;
    LevelLine& sci;
    FlashMapping* flash_mapping = nullptr;  ///< of `variables`
    /// What firmware says on its debug port.
    std::function<void(std::span<const std::byte>)> debug_output;
};

/// All the models of the machine but its disks, each at its place on the two buses. The KVM side sends port
/// and MMIO exits to the buses; tests do the same without a CPU.
class Platform {
  public:
    static Result<std::unique_ptr<Platform>> create(const PlatformConfig& config,
                                                    const PlatformPorts& outside);
    ~Platform();

    IoBus& ports() { return ports_; }
    IoBus& memory() { return memory_; }
    /// Devices are added from layout::first_device_slot on, before the guest runs.
    PciBus& pci() { return pci_; }
    Serial& serial();
    FwCfg& fw_cfg();

    /// Saves or loads all models. While the guest does not run.
    void exchange_state(StateArchive& archive);

  private:
    struct Models;

    Platform(const PlatformConfig& config, const PlatformPorts& outside);
    Result<void> fill_fw_cfg(const PlatformConfig& config);
    Result<void> hand_over_kernel(const PlatformConfig& config);
    void place_ports();
    void place_flash(const PlatformConfig& config);

    IoBus ports_;
    IoBus memory_;
    PciBus pci_;
    std::unique_ptr<Models> models_;
};

}  // namespace exo::vmm
