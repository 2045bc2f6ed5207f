#pragma once

#include <compare>
#include <cstdint>

#include "guest/arch/spin_lock.h"
#include "guest/drivers/registers.h"
#include "guest/kernel/text_sink.h"

namespace exo::guest {

/// Where a PCI function sits: bus 0–255, device 0–31, function 0–7.
struct PciAddress {
    std::uint8_t bus = 0;
    std::uint8_t device = 0;
    std::uint8_t function = 0;
    auto operator<=>(const PciAddress&) const = default;
};
/// "00:1f.2", as everyone writes it.
void format_value(TextSink& sink, const PciAddress& address);

/// Access to the 256 bytes of configuration space of every function. An absent function reads as all ones.
class PciConfig {
  public:
    virtual ~PciConfig() = default;
    virtual std::uint32_t read32(PciAddress address, std::uint8_t offset) = 0;  ///< offset a multiple of 4
    virtual void write32(PciAddress address, std::uint8_t offset, std::uint32_t value) = 0;
    /// 16-bit writes reach the device as such: half of the command and status word is cleared by ones.
    virtual void write16(PciAddress address, std::uint8_t offset, std::uint16_t value) = 0;

    std::uint16_t read16(PciAddress address, std::uint8_t offset);
    std::uint8_t read8(PciAddress address, std::uint8_t offset);
};

/// Configuration mechanism 1 (PCI Local Bus Specification 3.0, 3.2.2.3.2): an address port and a data port.
class PciPortConfig final : public PciConfig {
  public:
    static constexpr std::uint16_t first_port = 0xcf8;
    static constexpr std::uint16_t port_count = 8;

    /// `ports` are the eight from `first_port` on.
    explicit PciPortConfig(Registers& ports) : ports_(ports) {}
    std::uint32_t read32(PciAddress address, std::uint8_t offset) override;
    void write32(PciAddress address, std::uint8_t offset, std::uint32_t value) override;
    void write16(PciAddress address, std::uint8_t offset, std::uint16_t value) override;

  private:
    void select(PciAddress address, std::uint8_t offset) EXO_THREAD_SAFETY(requires_capability(lock_));
    SpinLock lock_;  ///< between the two ports nobody else may select
    Registers& ports_;
};

}  // namespace exo::guest
