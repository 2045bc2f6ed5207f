#pragma once

#include <cstdint>
#include <mutex>

#include "vmm/machine/io_bus.h"
#include "vmm/machine/level_line.h"
#include "vmm/machine/machine_events.h"
#include "vmm/machine/pci_function.h"
#include "vmm/machine/pm_timer.h"

namespace exo::vmm {

/// The ACPI fixed hardware of a PIIX4: PM1a event and control registers (ACPI 6.3, 4.8.3). Soft-off (S5,
/// sleep type 0) ends the machine; there is no other sleep state. The timer's status bit is right whenever it
/// is read, but no interrupt comes by itself when the timer wraps.
class PowerManagementRegisters final : public IoHandler {
  public:
    static constexpr std::uint64_t size =
        64;  ///< of the port range; the timer at timer_offset is its own range
    static constexpr std::uint64_t control_offset = 4;
    static constexpr std::uint64_t timer_offset = 8;

    PowerManagementRegisters(const PmTimer& timer, MachineEvents& events, LevelLine& sci)
        : timer_(timer), events_(events), sci_(sci) {}

    /// While the guest does not run; after the timer.
    void exchange_state(StateArchive& archive);

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    std::uint16_t status();
    void update_sci();
    std::uint64_t registers();

    const PmTimer& timer_;
    MachineEvents& events_;
    LevelLine& sci_;
    std::mutex mutex_;
    std::uint64_t acknowledged_half_ = 0;  ///< half-periods of the timer that the guest has been told of
    std::uint16_t enable_ = 0;
    std::uint16_t control_ = 0;
    bool sci_asserted_ = false;
};

/// PCI function 00:01.3, a PIIX4's power management: where the guest puts the ports above, and whether they
/// answer. PMREGMISC alone gates them, as on the chip; the command register is for its SMBus, which is
/// absent.
class PowerManagement final : public PciFunction {
  public:
    // PIIX4 registers in configuration space (Intel 290562, 7.1 and 7.2).
    static constexpr unsigned base_register = 0x40;
    static constexpr unsigned misc_register = 0x80;
    static constexpr std::uint8_t io_enable = 1;

    PowerManagement(IoBus& ports, PowerManagementRegisters& registers, PmTimer& timer);

  private:
    void config_written(unsigned offset, unsigned size) override;

    IoBus& ports_;
    IoBus::RangeId timer_range_;
    IoBus::RangeId register_range_;
};

}  // namespace exo::vmm
