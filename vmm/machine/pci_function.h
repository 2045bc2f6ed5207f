#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "vmm/base/io_handler.h"
#include "vmm/machine/address_range.h"
#include "vmm/machine/pci_config_space.h"

namespace exo::vmm {

struct PciIdentity {
    std::uint16_t vendor;
    std::uint16_t device;
    std::uint32_t class_code;  ///< class, subclass, interface: 24 bits
    std::uint8_t revision = 0;
    std::uint16_t subsystem_vendor = 0;
    std::uint16_t subsystem = 0;
};

enum class BarKind : std::uint8_t { io, memory32, memory64 };

struct PciBar {
    BarKind kind;
    std::uint64_t size;  ///< bytes, a power of two: at least 4 for ports, 4096 for memory
    IoHandler* handler;  ///< offsets are relative to the BAR; outlives the machine
};

/// Learns where a BAR of one function answers, with the PCI bus locked: must not access configuration space.
/// A BAR that moves is unmapped first. Mapped BARs never overlap each other, nor anything outside the PCI
/// windows.
class BarListener {
  public:
    virtual ~BarListener() = default;
    virtual void bar_mapped(unsigned bar, AddressRange where) = 0;
    virtual void bar_unmapped(unsigned bar, AddressRange where) = 0;
};

/// One PCI function: its header, base address registers and capabilities. PciBus alone calls it, one thread
/// at a time.
class PciFunction {
  public:
    static constexpr unsigned bar_count = 6;

    explicit PciFunction(std::string name, const PciIdentity& identity);
    virtual ~PciFunction() = default;
    PciFunction(const PciFunction&) = delete;
    PciFunction& operator=(const PciFunction&) = delete;

    const std::string& name() const { return name_; }

    std::uint32_t read_config(unsigned offset, unsigned size);
    void write_config(unsigned offset, unsigned size, std::uint32_t value);

    /// Saves or loads the configuration, with what follows from it.
    void exchange_state(StateArchive& archive);

    /// The BAR at register `index`, if there is one (a 64-bit BAR leaves the index after it empty).
    const std::optional<PciBar>& bar(unsigned index) const { return bars_[index]; }
    /// Where the guest has put that BAR, if the command register lets it decode; not yet checked against
    /// anything.
    std::optional<AddressRange> bar_range(unsigned index) const;

    BarListener* bar_listener() const { return bar_listener_; }
    /// Before the guest runs.
    void set_bar_listener(BarListener* listener) { bar_listener_ = listener; }

  protected:
    /// Called after each write by the guest.
    virtual void config_written(unsigned /*offset*/, unsigned /*size*/) {}
    /// Called before each read by the guest, for registers that are made when they are looked at.
    virtual void config_read(unsigned /*offset*/, unsigned /*size*/) {}

    /// Saves or loads what there is besides the configuration space; `config_` is loaded already.
    virtual void exchange_more(StateArchive& /*archive*/) {}

    void add_bar(unsigned index, const PciBar& bar);
    /// Appends a capability of `size` bytes (id and link included); returns its offset.
    unsigned add_capability(std::uint8_t id, unsigned size);

    PciConfigSpace config_;

  private:
    std::string name_;
    std::array<std::optional<PciBar>, bar_count> bars_;
    BarListener* bar_listener_ = nullptr;
    unsigned next_capability_ = pci::device_specific;
    unsigned last_link_ = pci::capabilities;
};

}  // namespace exo::vmm
