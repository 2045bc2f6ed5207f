#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "guest/drivers/driver_services.h"
#include "shared/block/protocol.h"
#include "tests/unit/devices/guest_ram.h"
#include "tests/unit/guest_drivers/fake_pci_config.h"
#include "vmm/base/io_handler.h"

namespace exo::test {

/// What PCI shows of a device: BAR 0, an MSI-X capability, and others that are given byte by byte.
struct DeviceFace {
    std::uint16_t vendor = block::pci_vendor;
    std::uint16_t device = block::pci_device;
    std::uint64_t bar_size = block::bar::size;
    std::uint32_t msix_table = block::bar::msix_table;
    std::uint32_t msix_pending = block::bar::msix_pending;
    std::vector<std::vector<std::uint8_t>> vendor_capabilities = {};
};

/// What the guest's driver gets from outside, over the RAM and registers of a device in this process. Either
/// in virtual time in one thread, where the device has its turn when the driver waits, or in real time with
/// the device in another thread.
class GuestSide final : public guest::TimeSource,
                        public guest::DmaMemory,
                        public guest::InterruptSupply,
                        public guest::RegisterSpace {
  public:
    static constexpr std::uint64_t bar_address = 0xc000'0000;
    static constexpr std::uint64_t msi_address = 0xfee0'0000;
    static constexpr guest::PciAddress pci_address{0, 3, 0};
    static constexpr std::uint8_t msix_capability = 0x40;

    /// `device_turn` says whether the device did something; without it time is real.
    GuestSide(GuestRam& ram, vmm::IoHandler& registers, std::function<bool()> device_turn = {},
              DeviceFace face = {})
        : ram_(ram),
          registers_(registers),
          device_turn_(std::move(device_turn)),
          face_(std::move(face)),
          line_(*this) {
        auto& space = pci.add(pci_address, face_.vendor, face_.device);
        space.set_bar(0, bar_address, face_.bar_size, true);
        space.set16(guest::pci_reg::status, 0x10);
        space.set8(guest::pci_reg::capabilities, msix_capability);
        space.set16(msix_capability, guest::pci_capability::msix);
        space.set32(msix_capability + 4, face_.msix_table);
        space.set32(msix_capability + 8, face_.msix_pending);
        std::uint8_t link = msix_capability + 1;
        std::uint8_t at = msix_capability + 12;
        for (const auto& capability : face_.vendor_capabilities) {
            space.set8(link, at);
            space.set8(at, guest::pci_capability::vendor_specific);
            link = static_cast<std::uint8_t>(at + 1);
            for (std::size_t i = 0; i < capability.size(); ++i) space.set8(at + 2 + i, capability[i]);
            at = static_cast<std::uint8_t>(at + 2 + capability.size());
        }
    }

    guest::test::FakePciConfig pci;
    bool has_msi = true;
    bool lose_interrupts = false;
    std::uint64_t idle_step_ns = 100'000;  ///< virtual time that passes when the device has nothing to do

    guest::DriverServices services() { return {*this, *this, *this, *this, true}; }
    guest::PciFunction function() { return {pci, pci_address}; }
    /// For the device: raises the MSI-X message that the driver programmed.
    vmm::InterruptLine& line() { return line_; }

    // TimeSource
    std::uint64_t now_ns() const override {
        if (device_turn_) return now_ns_;
        return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    }
    void relax() override {
        if (!device_turn_) return std::this_thread::yield();
        now_ns_ += device_turn_() ? 1'000 : idle_step_ns;
    }

    // DmaMemory
    guest::Result<guest::DmaSpan> allocate(std::size_t size) override {
        const std::uint64_t physical = ram_.allocate(size);
        if (physical == 0) return guest::fail("cannot allocate", "the test's memory is used up");
        return guest::DmaSpan{ram_.at(physical), physical, size};
    }
    void release(const guest::DmaSpan& span) override { ram_.release(span.physical, span.size); }

    // InterruptSupply
    guest::Result<guest::MsiInterrupt> allocate_msi(unsigned) override {
        if (!has_msi) return guest::fail("cannot allocate a vector", "the test says so");
        return guest::MsiInterrupt{&interrupt_, {msi_address, 0x41}};
    }
    guest::Result<guest::Interrupt*> legacy_irq(unsigned) override {
        return guest::fail("no legacy interrupts", "the device has none");
    }
    std::uint64_t interrupts() const { return interrupt_.count(); }

    // RegisterSpace
    guest::Result<std::unique_ptr<guest::Registers>> map_memory(std::uint64_t physical,
                                                                std::uint64_t size) override {
        EXPECT_GE(physical, bar_address);
        EXPECT_LE(physical + size, bar_address + face_.bar_size);
        return std::make_unique<View>(*this, physical - bar_address, size);
    }
    guest::Result<std::unique_ptr<guest::Registers>> map_ports(std::uint16_t, std::uint16_t) override {
        return guest::fail("no ports", "the device has none");
    }

  private:
    class Line final : public vmm::InterruptLine {
      public:
        explicit Line(GuestSide& guest) : guest_(guest) {}
        void raise() override { guest_.raise(); }

      private:
        GuestSide& guest_;
    };

    class Msi final : public guest::Interrupt {
      public:
        explicit Msi(GuestSide& side) : side_(side) {}
        std::uint64_t count() const override {
            const std::lock_guard lock(mutex_);
            return count_;
        }
        bool wait(std::uint64_t seen, std::uint64_t deadline_ns) override {
            return side_.device_turn_ ? wait_virtual(seen, deadline_ns) : wait_real(seen, deadline_ns);
        }
        void raise() {
            {
                const std::lock_guard lock(mutex_);
                ++count_;
            }
            raised_.notify_all();
        }

      private:
        bool wait_virtual(std::uint64_t seen, std::uint64_t deadline_ns) {
            while (count() == seen && side_.now_ns_ < deadline_ns) side_.relax();
            return count() != seen;
        }
        bool wait_real(std::uint64_t seen, std::uint64_t deadline_ns) {
            const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(deadline_ns)};
            std::unique_lock lock(mutex_);
            return raised_.wait_until(lock, deadline, [&] { return count_ != seen; });
        }

        GuestSide& side_;
        mutable std::mutex mutex_;
        std::condition_variable raised_;
        std::uint64_t count_ = 0;
    };

    /// BAR 0: the device's pages, and the MSI-X table as a PCI wrapper would answer it.
    class View final : public guest::RegistersOfAnyWidth<View> {
      public:
        View(GuestSide& side, std::uint64_t base, std::uint64_t size)
            : side_(side), base_(base), size_(size) {}
        std::uint64_t size() const override { return size_; }

      private:
        friend RegistersOfAnyWidth;

        template <typename T>
        T read(std::uint64_t offset) {
            T value = 0;
            EXPECT_LE(offset + sizeof(T), size_);
            const std::uint64_t at = base_ + offset;
            if (at < side_.face_.msix_table) {
                side_.registers_.read(at, std::as_writable_bytes(std::span(&value, 1)));
            } else if constexpr (sizeof(T) == 4) {
                value = side_.msix_word(at);
            }
            return value;
        }
        template <typename T>
        void write(std::uint64_t offset, T value) {
            EXPECT_LE(offset + sizeof(T), size_);
            const std::uint64_t at = base_ + offset;
            if (at < side_.face_.msix_table) {
                side_.registers_.write(at, std::as_bytes(std::span(&value, 1)));
            } else if constexpr (sizeof(T) == 4) {
                side_.set_msix_word(at, value);
            }
        }
        GuestSide& side_;
        std::uint64_t base_;
        std::uint64_t size_;
    };

    std::uint32_t msix_word(std::uint64_t offset) {
        const std::lock_guard lock(msix_mutex_);
        return msix_.at((offset - face_.msix_table) / 4);
    }
    void set_msix_word(std::uint64_t offset, std::uint32_t value) {
        const std::lock_guard lock(msix_mutex_);
        msix_.at((offset - face_.msix_table) / 4) = value;
    }

    void raise() {
        const std::lock_guard lock(msix_mutex_);
        const bool enabled = (pci.at(pci_address).get16(msix_capability + 2) & 0x8000) != 0;
        if (!enabled || (msix_[3] & 1) != 0 || lose_interrupts) return;
        EXPECT_EQ(msix_[0], msi_address);
        EXPECT_EQ(msix_[1], 0u);
        EXPECT_EQ(msix_[2], 0x41u);
        interrupt_.raise();
    }

    GuestRam& ram_;
    vmm::IoHandler& registers_;
    std::function<bool()> device_turn_;
    const DeviceFace face_;
    std::uint64_t now_ns_ = 1'000'000;
    std::mutex msix_mutex_;
    std::array<std::uint32_t, 4> msix_{0, 0, 0, 1};
    Msi interrupt_{*this};
    Line line_;
};

}  // namespace exo::test
