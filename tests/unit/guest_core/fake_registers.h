#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "guest/drivers/registers.h"

namespace exo::guest {

/// Registers whose reads a test answers and whose writes it sees, whatever their width.
class FakeRegisters final : public Registers {
  public:
    /// Answers a read that has no value of its own; all ones unless the test says otherwise.
    std::function<std::uint64_t(std::uint64_t offset)> on_read = [](std::uint64_t) {
        return ~std::uint64_t{0};
    };
    std::function<void(std::uint64_t offset, std::uint64_t value)> on_write = [](std::uint64_t,
                                                                                 std::uint64_t) {};
    std::map<std::uint64_t, std::uint64_t> values;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> writes;

    std::uint64_t size() const override { return 0x10000; }
    std::uint8_t read8(std::uint64_t offset) override { return static_cast<std::uint8_t>(read(offset)); }
    std::uint16_t read16(std::uint64_t offset) override { return static_cast<std::uint16_t>(read(offset)); }
    std::uint32_t read32(std::uint64_t offset) override { return static_cast<std::uint32_t>(read(offset)); }
    std::uint64_t read64(std::uint64_t offset) override { return read(offset); }
    void write8(std::uint64_t offset, std::uint8_t value) override { write(offset, value); }
    void write16(std::uint64_t offset, std::uint16_t value) override { write(offset, value); }
    void write32(std::uint64_t offset, std::uint32_t value) override { write(offset, value); }
    void write64(std::uint64_t offset, std::uint64_t value) override { write(offset, value); }
    void read16_repeated(std::uint64_t, std::span<std::byte>) override {}
    void write16_repeated(std::uint64_t, std::span<const std::byte>) override {}

  private:
    std::uint64_t read(std::uint64_t offset) {
        const auto found = values.find(offset);
        return found != values.end() ? found->second : on_read(offset);
    }
    void write(std::uint64_t offset, std::uint64_t value) {
        writes.emplace_back(offset, value);
        on_write(offset, value);
    }
};

}  // namespace exo::guest
