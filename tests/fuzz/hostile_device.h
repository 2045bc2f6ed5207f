#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/pci_function.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/guest_drivers/fake_pci_config.h"

namespace exo::fuzz {

/// A device under a driver of the guest: what it does is the input's to say.
class HostileDevice {
  public:
    virtual ~HostileDevice() = default;
    virtual std::uint64_t read(std::uint64_t offset, unsigned width) = 0;
    virtual void write(std::uint64_t offset, std::uint64_t value, unsigned width) = 0;
    /// Does one thing, whatever the input says.
    virtual void turn() = 0;
};

/// Everything that a driver gets from outside, in virtual time. An input begins with what it is (options, how
/// many buffers can be had, when the device dies) and up to fifteen lies: the number of a read and what it
/// returns. The rest is consumed by whoever has a turn, and when there is nothing left time flies.
class HostileMachine final : public guest::TimeSource,
                             public guest::DmaMemory,
                             public guest::InterruptSupply,
                             public guest::RegisterSpace,
                             public guest::PciConfig {
  public:
    static constexpr std::uint64_t bar_address = 0x38'0000'0000;
    static constexpr std::uint64_t msi_address = 0xfee0'0000;
    static constexpr std::uint64_t msix_table = 0x2000;
    static constexpr std::uint64_t bar_size = 0x4000;
    static constexpr std::uint8_t msix_capability = 0x40;
    static constexpr std::uint8_t after_msix = 0x4c;
    static constexpr guest::PciAddress pci_address{0, 3, 0};

    HostileMachine(Input& input, std::uint16_t vendor, std::uint16_t device)
        : input(input), space_(config_.add(pci_address, vendor, device)) {
        const auto options = input.take<std::uint8_t>();
        adaptive = (options & 1) != 0;
        ignores_reset = (options & 2) != 0;
        has_msi_ = (options & 4) == 0;
        buffers_left_ = (options & 8) != 0 ? input.take<std::uint8_t>() % 16 : 1000;
        dies_at_ = (options & 16) != 0 ? input.take<std::uint16_t>() % 1024 : ~0u;
        for (unsigned lies = input.take<std::uint8_t>() % 16; lies > 0; --lies) {
            const auto when = input.take<std::uint16_t>() % 512u;
            lies_[when] = input.take<std::uint32_t>();
        }
        // What says that it was reset, and goes on, is beyond any driver.
        if (ignores_reset) lies_.clear();
        space_.set_bar(0, bar_address, bar_size, true);
        space_.set16(guest::pci_reg::status, 0x10);
        space_.set8(guest::pci_reg::capabilities, msix_capability);
        space_.set16(msix_capability, guest::pci_capability::msix);
        space_.set16(msix_capability + 2, 1);  // two vectors
        space_.set32(msix_capability + 4, msix_table);
        space_.set32(msix_capability + 8, msix_table + 0x1000);
    }

    Input& input;
    bool adaptive = false;
    bool ignores_reset = false;  ///< the device goes on, and says so
    HostileDevice* device = nullptr;

    guest::DriverServices services() { return {*this, *this, *this, *this, adaptive}; }
    guest::PciFunction function() { return {*this, pci_address}; }
    guest::test::FakePciConfig::Space& space() { return space_; }
    bool dead() const { return reads_ > dies_at_; }
    bool was_lied_to() const { return !lies_.empty() || dead(); }
    std::size_t live_buffers() const { return memory_.size(); }
    bool reaches_memory() const {
        return (space_.get16(guest::pci_reg::command) & guest::pci_command::bus_master) != 0;
    }

    /// Memory that the driver has given to the device; null where there is none, or the device may not.
    std::byte* dma(std::uint64_t physical, std::size_t size) {
        if (!reaches_memory()) return nullptr;
        const auto above = memory_.upper_bound(physical);
        if (above == memory_.begin()) return nullptr;
        const auto& [start, pages] = *std::prev(above);
        const std::uint64_t offset = physical - start;
        if (offset > pages.span().size() || size > pages.span().size() - offset) return nullptr;
        return pages.get() + offset;
    }
    /// The same for what the device was told to use: no driver takes that back without having stopped the
    /// device, or cut it off from memory.
    std::byte* dma_in_use(std::uint64_t physical, std::size_t size) {
        std::byte* const found = dma(physical, size);
        require(found != nullptr || !reaches_memory());
        return found;
    }
    /// Writes four bytes somewhere into that memory.
    void scribble() {
        const auto which = input.take<std::uint8_t>();
        const auto at = input.take<std::uint16_t>();
        const auto value = input.take<std::uint32_t>();
        if (memory_.empty()) return;
        const auto& [start, pages] = *std::next(memory_.begin(), which % memory_.size());
        if (std::byte* const to = dma(start + at % (pages.span().size() - 3), sizeof(value)))
            std::memcpy(to, &value, sizeof(value));
    }
    void interrupt(unsigned line) {
        if (!lines_.empty()) lines_[line % lines_.size()]->raise();
    }

    // TimeSource
    std::uint64_t now_ns() const override { return now_ns_; }
    void relax() override {
        count_work();
        if (input.empty() || dead()) {
            now_ns_ += 50 * guest::ns_per_ms;
            return;
        }
        const auto step = input.take<std::uint8_t>();
        now_ns_ += step < 0xf0 ? guest::ns_per_us : guest::ns_per_s;
        device->turn();
    }

    // DmaMemory
    guest::Result<guest::DmaSpan> allocate(std::size_t size) override {
        if (buffers_left_ == 0) return guest::fail("cannot allocate", "the input says so");
        --buffers_left_;
        const std::uint64_t physical = next_physical_;
        next_physical_ += (size + 0x1fff) & ~std::uint64_t{0xfff};
        const auto [at, _] = memory_.emplace(physical, size);
        return guest::DmaSpan{at->second.get(), physical, size};
    }
    void release(const guest::DmaSpan& span) override { require(memory_.erase(span.physical) == 1); }

    // InterruptSupply
    guest::Result<guest::MsiInterrupt> allocate_msi(unsigned) override {
        if (!has_msi_) return guest::fail("cannot allocate a vector", "the input says so");
        lines_.push_back(std::make_unique<Line>(*this));
        return guest::MsiInterrupt{lines_.back().get(), {msi_address, 0x41}};
    }
    guest::Result<guest::Interrupt*> legacy_irq(unsigned) override {
        return guest::fail("no legacy interrupts", "the device has none");
    }

    // RegisterSpace
    guest::Result<std::unique_ptr<guest::Registers>> map_memory(std::uint64_t physical,
                                                                std::uint64_t size) override {
        return std::make_unique<View>(*this, physical - bar_address, size);
    }
    guest::Result<std::unique_ptr<guest::Registers>> map_ports(std::uint16_t port,
                                                               std::uint16_t count) override {
        return std::make_unique<View>(*this, port, count);
    }

    // PciConfig
    std::uint32_t read32(guest::PciAddress address, std::uint8_t offset) override {
        return static_cast<std::uint32_t>(maybe_lie(config_.read32(address, offset)));
    }
    void write32(guest::PciAddress address, std::uint8_t offset, std::uint32_t value) override {
        config_.write32(address, offset, value);
    }
    void write16(guest::PciAddress address, std::uint8_t offset, std::uint16_t value) override {
        config_.write16(address, offset, value);
    }

  private:
    class Line final : public guest::Interrupt {
      public:
        explicit Line(HostileMachine& machine) : machine_(machine) {}
        std::uint64_t count() const override { return count_; }
        bool wait(std::uint64_t seen, std::uint64_t deadline_ns) override {
            while (count_ == seen && machine_.now_ns_ < deadline_ns) {
                if (machine_.input.empty() || machine_.dead()) machine_.now_ns_ = deadline_ns;
                machine_.relax();
            }
            return count_ != seen;
        }
        void raise() { ++count_; }

      private:
        HostileMachine& machine_;
        std::uint64_t count_ = 0;
    };

    /// A driver stays inside of what it asked for, whatever the device has made it ask for.
    class View final : public guest::Registers {
      public:
        View(HostileMachine& machine, std::uint64_t base, std::uint64_t size)
            : machine_(machine), base_(base), size_(size) {}
        std::uint64_t size() const override { return size_; }
        std::uint8_t read8(std::uint64_t offset) override { return get<std::uint8_t>(offset); }
        std::uint16_t read16(std::uint64_t offset) override { return get<std::uint16_t>(offset); }
        std::uint32_t read32(std::uint64_t offset) override { return get<std::uint32_t>(offset); }
        std::uint64_t read64(std::uint64_t offset) override { return get<std::uint64_t>(offset); }
        void write8(std::uint64_t offset, std::uint8_t value) override { put(offset, value); }
        void write16(std::uint64_t offset, std::uint16_t value) override { put(offset, value); }
        void write32(std::uint64_t offset, std::uint32_t value) override { put(offset, value); }
        void write64(std::uint64_t offset, std::uint64_t value) override { put(offset, value); }
        void read16_repeated(std::uint64_t, std::span<std::byte>) override { require(false); }
        void write16_repeated(std::uint64_t, std::span<const std::byte>) override { require(false); }

      private:
        template <typename T>
        void check(std::uint64_t offset) const {
            require(offset % sizeof(T) == 0 && offset <= size_ && sizeof(T) <= size_ - offset);
        }
        template <typename T>
        T get(std::uint64_t offset) {
            check<T>(offset);
            return static_cast<T>(machine_.read_register(base_ + offset, sizeof(T)));
        }
        template <typename T>
        void put(std::uint64_t offset, T value) {
            check<T>(offset);
            machine_.count_work();
            machine_.device->write(base_ + offset, value, sizeof(T));
        }

        HostileMachine& machine_;
        std::uint64_t base_;
        std::uint64_t size_;
    };

    std::uint64_t read_register(std::uint64_t offset, unsigned width) {
        return maybe_lie(device->read(offset, width));
    }
    std::uint64_t maybe_lie(std::uint64_t truth) {
        count_work();
        const auto lie = lies_.find(reads_++);
        if (dead()) return ~std::uint64_t{0};
        return lie == lies_.end() ? truth : lie->second * 0x1'0000'0001u;
    }
    /// No driver looks for ever.
    void count_work() { require(++work_ < 500'000); }

    guest::test::FakePciConfig config_;
    guest::test::FakePciConfig::Space& space_;
    bool has_msi_ = true;
    unsigned buffers_left_ = 0;
    unsigned dies_at_ = 0;
    std::map<unsigned, std::uint32_t> lies_;
    unsigned reads_ = 0;
    unsigned work_ = 0;
    std::uint64_t now_ns_ = guest::ns_per_ms;
    std::uint64_t next_physical_ = 0x1'2345'6000;
    std::map<std::uint64_t, Pages> memory_;
    std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace exo::fuzz
