#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>

#include "guest/drivers/pci/pci_function.h"

namespace exo::guest::test {

/// Configuration spaces of functions that a test puts together byte by byte.
class FakePciConfig final : public PciConfig {
  public:
    struct Space {
        std::array<std::uint8_t, 256> bytes{};
        std::array<std::uint64_t, 6> bar_size{};

        void set8(std::size_t at, std::uint8_t value) { bytes.at(at) = value; }
        void set16(std::size_t at, std::uint16_t value) { std::memcpy(&bytes.at(at), &value, 2); }
        void set32(std::size_t at, std::uint32_t value) { std::memcpy(&bytes.at(at), &value, 4); }
        std::uint16_t get16(std::size_t at) const {
            std::uint16_t value;
            std::memcpy(&value, &bytes.at(at), 2);
            return value;
        }
        std::uint32_t get32(std::size_t at) const {
            std::uint32_t value;
            std::memcpy(&value, &bytes.at(at), 4);
            return value;
        }
        /// A memory BAR, 64 bits wide when `wide`.
        void set_bar(unsigned index, std::uint64_t address, std::uint64_t size, bool wide = false) {
            bar_size.at(index) = size;
            set32(0x10 + index * 4, static_cast<std::uint32_t>(address) | (wide ? 4 : 0));
            if (wide) {
                bar_size.at(index + 1) = ~std::uint64_t{0};  // its upper half
                set32(0x14 + index * 4, static_cast<std::uint32_t>(address >> 32));
            }
        }
        void set_port_bar(unsigned index, std::uint16_t port, std::uint16_t size) {
            bar_size.at(index) = size;
            set32(0x10 + index * 4, port | 1u);
        }
    };

    Space& add(PciAddress address, std::uint16_t vendor, std::uint16_t device) {
        Space& space = spaces_[address];
        space.set16(pci_reg::vendor, vendor);
        space.set16(pci_reg::device, device);
        return space;
    }
    Space& at(PciAddress address) { return spaces_.at(address); }

    std::uint32_t read32(PciAddress address, std::uint8_t offset) override {
        const auto found = spaces_.find(address);
        return found == spaces_.end() ? 0xffff'ffff : found->second.get32(offset);
    }
    void write32(PciAddress address, std::uint8_t offset, std::uint32_t value) override {
        const auto found = spaces_.find(address);
        if (found == spaces_.end()) return;
        Space& space = found->second;
        if (offset >= 0x10 && offset < 0x28) {
            write_bar(space, (offset - 0x10u) / 4, value);
        } else {
            space.set32(offset, value);
        }
    }
    void write16(PciAddress address, std::uint8_t offset, std::uint16_t value) override {
        const auto found = spaces_.find(address);
        if (found != spaces_.end()) found->second.set16(offset, value);
    }

  private:
    static void write_bar(Space& space, unsigned index, std::uint32_t value) {
        const std::size_t at = 0x10 + index * 4;
        const std::uint64_t size = space.bar_size.at(index);
        const bool upper_half = size == ~std::uint64_t{0};
        if (upper_half) {
            const std::uint64_t whole = space.bar_size.at(index - 1);
            space.set32(at, value & static_cast<std::uint32_t>(~(whole - 1) >> 32));
            return;
        }
        const std::uint32_t old = space.get32(at);
        const std::uint32_t fixed = (old & 1) != 0 ? 3 : 15;
        const auto writable = size == 0 ? 0u : static_cast<std::uint32_t>(~(size - 1)) & ~fixed;
        space.set32(at, (value & writable) | (size == 0 ? 0 : old & fixed));
    }

    std::map<PciAddress, Space> spaces_;
};

}  // namespace exo::guest::test
