#pragma once

#include <atomic>
#include <cstdint>

#include "vmm/base/io_handler.h"
#include "vmm/base/state_archive.h"
#include "vmm/machine/machine_events.h"
#include "vmm/machine/pci_bus.h"

namespace exo::vmm {

/// PCI configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2) on the 8 ports from 0xCF8: the address
/// register takes whole dwords only, which leaves room for the chipset's reset control in its byte 0xCF9.
class PciConfigPorts final : public IoHandler {
  public:
    PciConfigPorts(PciBus& bus, MachineEvents& events) : bus_(bus), events_(events) {}

    void exchange_state(StateArchive& archive) {
        std::uint32_t address = address_;
        std::uint8_t reset_control = reset_control_;
        archive(address);
        archive(reset_control);
        address_ = address;
        reset_control_ = reset_control;
    }

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    PciBus& bus_;
    MachineEvents& events_;
    std::atomic<std::uint32_t> address_ = 0;
    std::atomic<std::uint8_t> reset_control_ = 0;
};

}  // namespace exo::vmm
