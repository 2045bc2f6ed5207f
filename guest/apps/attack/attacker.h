#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/pci_config.h"
#include "guest/drivers/pci/pci_function.h"
#include "guest/kernel/error.h"

/// Attacks of a guest on the machine that it runs on. They reach it by what a driver is given, so the same
/// code attacks from inside of a guest, and in a unit test the machine's models alone.
namespace exo::guest::attack {

/// What an attacker reaches.
struct Surface {
    Registers& ports;  ///< all 65,536, offset = port number
    RegisterSpace& registers;
    DmaSpan memory;       ///< at least `Attacker::memory_size`, the attacker's own
    MsiMessage harmless;  ///< an interrupt that the guest answers
    /// Devices are also told to write to RAM that is not the attacker's, interrupts are of any kind, and what
    /// ends the machine is not avoided: the guest's kernel need not survive.
    bool wild = false;
};

/// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next();
    /// From 0 to `limit` - 1.
    std::uint64_t below(std::uint64_t limit) { return next() % limit; }
    bool one_in(std::uint64_t count) { return below(count) == 0; }
    template <typename T>
    T pick(std::span<const T> values) {
        return values[below(values.size())];
    }

  private:
    std::uint64_t state_;
};

/// A piece of the attacker's memory, by its offset there. Each kind of content has its own, so that what the
/// device leaves in one is never an address in another.
struct Area {
    std::size_t offset;
    std::size_t size;
};
namespace area {
inline constexpr Area tables{0x0'0000, 0x1'0000};  ///< descriptors of virtio
inline constexpr Area rings{0x1'0000, 0x1'0000};   ///< available and used rings
inline constexpr Area fusion{0x2'0000, 0x2'0000};
inline constexpr Area commands{0x4'0000, 0x1000};  ///< fw_cfg's DMA descriptors
inline constexpr Area scrap{0x8'0000, 0x4'0000};   ///< what fw_cfg reads, half of it as room
inline constexpr Area data{0xc'0000, 0x8'0000};    ///< of disks, half of it as room
}  // namespace area

/// Who attacks: what it reaches, its random numbers, and what it saw go wrong. The same seed attacks alike.
class Attacker {
  public:
    static constexpr std::size_t memory_size = 0x14'0000;
    static constexpr std::size_t most_functions = 32;

    static Result<Attacker> create(const Surface& surface, std::uint64_t seed);

    Random& random() { return random_; }
    bool wild() const { return surface_.wild; }
    /// Whether the next thing told to a device is a lie. How many are is drawn anew by `choose_honesty`: one
    /// who always lies is never believed, and gets nowhere.
    bool lies() { return random_.one_in(one_lie_in_); }
    void choose_honesty();
    std::span<const PciAddress> functions() const { return std::span(functions_).first(function_count_); }

    /// Accesses of 1, 2 or 4 bytes.
    std::uint32_t in(std::uint16_t port, unsigned size);
    void out(std::uint16_t port, unsigned size, std::uint32_t value);
    PciConfig& config() { return *config_; }

    /// Memory of devices: a part of the PCI window that nothing lies in before, and the top 4 MiB of flash.
    Registers& window() { return *window_; }
    Registers& flash() { return *flash_; }
    /// Puts the first memory BAR of a function into the window, decoding: its offset there.
    std::uint64_t place_in_window(std::size_t index);

    std::byte* at(Area area, std::size_t offset) { return surface_.memory.data + area.offset + offset; }
    std::uint64_t physical(Area area, std::size_t offset = 0) const {
        return surface_.memory.physical + area.offset + offset;
    }
    const MsiMessage& harmless() const { return surface_.harmless; }

    /// Where a device is told to read or write: in the area, or where there is no RAM; anywhere when wild.
    std::uint64_t address(Area area);
    /// Where there is no RAM.
    std::uint64_t outside();
    /// Of a table of descriptors, which begins where one does.
    std::uint64_t table_address() { return address(area::tables) & ~std::uint64_t{15}; }
    /// Bytes: what fits behind any such address, or more than there can be.
    std::uint32_t length(Area area);

    /// Polls a word that a device writes until it is not 0, or patience is at its end.
    static void await(const std::uint16_t& word);

    /// What no guest may see was seen.
    void object(std::string_view what) {
        ++objections_;
        last_objection_ = what;
    }
    unsigned objections() const { return objections_; }
    std::string_view last_objection() const { return last_objection_; }

  private:
    Attacker(const Surface& surface, std::uint64_t seed) : surface_(surface), random_(seed) {}
    void fill_tables();

    Surface surface_;
    Random random_;
    std::unique_ptr<PciPortConfig> config_;
    std::unique_ptr<Registers> config_ports_;
    std::unique_ptr<Registers> window_;
    std::unique_ptr<Registers> flash_;
    std::array<PciAddress, most_functions> functions_{};
    std::size_t function_count_ = 0;
    std::uint64_t one_lie_in_ = 3;
    unsigned objections_ = 0;
    std::string_view last_objection_;
};

inline constexpr std::uint64_t window_start = 0xd000'0000;
inline constexpr std::uint64_t window_size = 0x10'0000;
inline constexpr std::uint64_t flash_start = 0xffc0'0000;
inline constexpr std::uint64_t flash_size = 0x40'0000;

/// A feature of the platform, and one attack on it: some tens of accesses.
struct Feature {
    std::string_view name;
    std::string_view summary;
    void (*attack)(Attacker& attacker);
};

void attack_ports(Attacker& attacker);
void attack_serial(Attacker& attacker);
void attack_pci(Attacker& attacker);
void attack_bars(Attacker& attacker);
void attack_msix(Attacker& attacker);
void attack_fw_cfg(Attacker& attacker);
void attack_flash(Attacker& attacker);
void attack_memory(Attacker& attacker);
void attack_virtio(Attacker& attacker);
void attack_fusion(Attacker& attacker);
void attack_processor(Attacker& attacker);

inline constexpr Feature features[] = {
    {"ports", "RTC, PIT, PIC, ACPI, i8042, debug and phase ports, and any others", attack_ports},
    {"serial", "the UART's registers", attack_serial},
    {"pci", "configuration registers of functions that are there, and that are not", attack_pci},
    {"bars", "BARs on RAM, flash, interrupt controllers, on each other, and out of the address space",
     attack_bars},
    {"msix", "vectors that point anywhere, masked and unmasked at any moment", attack_msix},
    {"fw_cfg", "DMA to everywhere, items that are not there", attack_fw_cfg},
    {"flash", "commands of the variables' flash", attack_flash},
    {"memory", "accesses where devices are, and where nothing is", attack_memory},
    {"virtio", "chains that lie, loop and wrap; queues anywhere; floods of doorbells", attack_virtio},
    {"fusion", "slots out of order, requests that lie, rings anywhere; floods of doorbells", attack_fusion},
    {"processor", "model-specific registers, CPUID", attack_processor},
};

/// One change to the rings while a device looks at them: another thread's, again and again.
void change_rings(Attacker& attacker);
void change_fusion_rings(Attacker& attacker);

}  // namespace exo::guest::attack
