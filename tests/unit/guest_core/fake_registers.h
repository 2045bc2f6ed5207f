#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "guest/drivers/registers.h"

namespace exo::guest {

/// Registers whose reads a test answers and whose writes it sees, whatever their width.
class FakeRegisters final : public RegistersOfAnyWidth<FakeRegisters> {
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

  private:
    friend RegistersOfAnyWidth;

    template <typename T>
    T read(std::uint64_t offset) {
        const auto found = values.find(offset);
        return static_cast<T>(found != values.end() ? found->second : on_read(offset));
    }
    template <typename T>
    void write(std::uint64_t offset, T value) {
        writes.emplace_back(offset, value);
        on_write(offset, value);
    }
};

}  // namespace exo::guest
