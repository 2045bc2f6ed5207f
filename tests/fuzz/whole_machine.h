#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tests/fuzz/flash_cells.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/machine/fakes.h"
#include "vmm/devices/fusion_blk.h"
#include "vmm/devices/virtio_blk.h"
#include "vmm/devices/virtio_pci.h"
#include "vmm/devices/virtio_rng.h"
#include "vmm/machine/pci_device.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/virtio_function.h"
#include "vmm/storage/memory_disk.h"

/// All of the machine but KVM, with checks of what no guest may bring about.
namespace exo::vmm::whole {

using fuzz::require;

inline constexpr std::uint64_t high_start = layout::mib;
inline constexpr std::size_t variables_size = 2 * VariableFlash::block_size;
inline constexpr std::size_t code_size = 4096;
inline constexpr std::size_t disk_size = 64 * 512;
inline constexpr unsigned devices = 3;

struct Mapping final : FlashMapping {
    void show_array(bool) override {}
};

/// What KVM would be asked for: routes only into the interrupts' window, and signals only where there is a
/// route.
class CheckedInterrupts final : public MsixBackend {
  public:
    void route(unsigned vector, const std::optional<MsiMessage>& message) override {
        if (message)
            require(message->address >= layout::msi_window.start &&
                    message->address < layout::msi_window.end());
        routes_[vector] = message;
    }
    void deliver(unsigned vector) override { require(routes_[vector].has_value()); }

  private:
    std::map<unsigned, std::optional<MsiMessage>> routes_;
};

/// BARs as all listeners see them: inside the windows, none on another.
using Mapped = std::map<std::uint64_t, AddressRange>;
class CheckedBars final : public BarListener {
  public:
    CheckedBars(Mapped& mapped, const layout::PciWindows& windows) : mapped_(mapped), windows_(windows) {}
    void bar_mapped(unsigned, AddressRange where) override {
        require(where.start >= windows_.memory32.start && where.end() <= windows_.memory32.end());
        for (const auto& [start, other] : mapped_)
            require(where.end() <= start || where.start >= other.end());
        mapped_.emplace(where.start, where);
    }
    void bar_unmapped(unsigned, AddressRange where) override { require(mapped_.erase(where.start) == 1); }

  private:
    Mapped& mapped_;
    layout::PciWindows windows_;
};

inline void counted_bytes(std::span<std::byte> bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
}

/// The platform's models with a fusion disk, a virtio disk and the entropy device behind the PCI bus, and two
/// banks of RAM, the second from `high_start` on.
class Machine {
  public:
    Machine(std::size_t low_size, std::size_t high_size)
        : banks_{fuzz::Pages(low_size), fuzz::Pages(high_size)} {
        fusion_->connect_interrupt(0, fusion_function_.interrupt(0));
        virtio_disk_->connect_interrupt(0, virtio_function_.interrupt(0));
        for (unsigned v = 0; v < virtio_disk_->vector_count(); ++v)
            virtio_disk_->connect_interrupt(v, virtio_function_.interrupt(v));
        for (unsigned v = 0; v < entropy_->vector_count(); ++v)
            entropy_->connect_interrupt(v, entropy_function_.interrupt(v));
        for (unsigned i = 0; i < devices; ++i) {
            functions_[i]->msix()->set_backend(&interrupts_[i]);
            functions_[i]->set_bar_listener(&bars_);
            platform_->pci().add({static_cast<std::uint8_t>(layout::first_device_slot + i)}, *functions_[i]);
        }
    }

    IoBus& ports() { return platform_->ports(); }
    IoBus& memory() { return platform_->memory(); }
    Platform& platform() { return *platform_; }
    std::span<std::byte> ram(unsigned bank) { return banks_[bank % 2].span(); }
    std::optional<AddressRange> bar(unsigned device) const {
        return platform_->pci().mapped({static_cast<std::uint8_t>(layout::first_device_slot + device)}, 0);
    }
    void pass(std::chrono::nanoseconds time) { clock_.pass(time); }
    DiskCounters fusion_counters() { return fusion_->counters(); }
    const DiskCounters& virtio_counters() const { return virtio_blk_.counters(); }
    std::size_t receive(std::span<const std::byte> bytes) { return platform_->serial().receive(bytes); }
    void output_room(std::size_t room) {
        output_.room = room;
        platform_->serial().output_ready();
    }

    /// One pass of each device's thread.
    void serve() {
        for (QueueDevice* const device : queue_devices_) device->service();
    }
    void settle() {
        for (QueueDevice* const device : queue_devices_) {
            for (int passes = 0; device->service(); ++passes) require(passes < 1000);
            require(device->quiescent());
        }
    }
    void exchange_state(StateArchive& archive) {
        platform_->exchange_state(archive);
        for (QueueDevice* const device : queue_devices_)
            archive.section("device", [&] { device->exchange_state(archive); });
    }
    std::vector<std::byte> save() {
        StateArchive archive;
        exchange_state(archive);
        require(archive.finish().has_value());
        return archive.saved();
    }
    /// Takes the other's RAM and disks too.
    void load(Machine& other, std::span<const std::byte> state) {
        for (unsigned bank = 0; bank < 2; ++bank) std::ranges::copy(other.ram(bank), ram(bank).begin());
        std::ranges::copy(other.fusion_storage_.content(), fusion_storage_.content().begin());
        std::ranges::copy(other.virtio_storage_.content(), virtio_storage_.content().begin());
        clock_ = other.clock_;
        output_.room = other.output_.room;
        StateArchive archive(state);
        exchange_state(archive);
        require(archive.finish().has_value());
    }

  private:
    static MemoryDisk storage() { return std::move(*MemoryDisk::create(std::vector<std::byte>(disk_size))); }

    std::array<fuzz::Pages, 2> banks_;
    GuestMemory memory_{{{{0}, banks_[0].span()}, {{high_start}, banks_[1].span()}}};
    test::FakeClock clock_;
    test::RecordedEvents events_;
    test::RecordedLine serial_line_;
    test::RecordedLine sci_;
    test::TextOutput output_;
    fuzz::FlashCells cells_{variables_size};
    Mapping mapping_;
    std::vector<std::byte> code_ = std::vector<std::byte>(code_size, std::byte{0x90});
    layout::RamSplit split_ = layout::split_ram(layout::gib);
    layout::PciWindows windows_ = layout::pci_windows(split_, 40);
    PlatformConfig config_{.cpus = 2,
                           .ram = split_,
                           .windows = windows_,
                           .acpi = acpi_files(windows_),
                           .flash_variables = cells_.content,
                           .flash_code = code_,
                           .variables = &cells_,
                           .kernel = code_,
                           .initrd = code_,
                           .command_line = "-- sum"};
    std::unique_ptr<Platform> platform_ = *Platform::create(config_, {.memory = memory_,
                                                                      .clock = clock_,
                                                                      .events = events_,
                                                                      .serial_output = output_,
                                                                      .serial_interrupt = serial_line_,
                                                                      .sci = sci_,
                                                                      .flash_mapping = &mapping_,
                                                                      .debug_output = {}});
    MemoryDisk fusion_storage_ = storage();
    MemoryDisk virtio_storage_ = storage();
    VirtioBlk virtio_blk_{virtio_storage_, {.serial = "fuzz", .queue_count = 2}};
    VirtioRng rng_{counted_bytes};
    std::unique_ptr<FusionBlk> fusion_ = std::move(*FusionBlk::create(
        memory_, fusion_storage_, clock_, {.serial = "fuzz", .tsc = [] { return std::uint64_t{1}; }}));
    std::unique_ptr<VirtioPci> virtio_disk_ = std::move(*VirtioPci::create(memory_, virtio_blk_));
    std::unique_ptr<VirtioPci> entropy_ = std::move(*VirtioPci::create(memory_, rng_));
    PciDevice fusion_function_{fusion_blk_spec("fusion", *fusion_, 1)};
    PciDevice virtio_function_{virtio_spec("virtio", virtio_blk_, *virtio_disk_)};
    PciDevice entropy_function_{virtio_spec("entropy", rng_, *entropy_)};
    std::array<PciDevice*, devices> functions_{&fusion_function_, &virtio_function_, &entropy_function_};
    std::array<QueueDevice*, devices> queue_devices_{fusion_.get(), virtio_disk_.get(), entropy_.get()};
    std::array<CheckedInterrupts, devices> interrupts_;
    Mapped mapped_;
    CheckedBars bars_{mapped_, windows_};

    static const acpi::Files& acpi_files(const layout::PciWindows& windows) {
        static const acpi::Files files = acpi::build({2, windows});
        return files;
    }
};

}  // namespace exo::vmm::whole
