#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/clock.h"
#include "vmm/base/guest_memory.h"
#include "vmm/base/io_handler.h"
#include "vmm/machine/io_value.h"
#include "vmm/machine/level_line.h"
#include "vmm/machine/machine_events.h"
#include "vmm/machine/serial.h"

/// What the models are given from outside, made up.
namespace exo::vmm::test {

class FakeClock final : public Clock {
  public:
    FakeClock() = default;
    explicit FakeClock(std::chrono::system_clock::time_point wall) : wall_(wall) {}

    std::chrono::nanoseconds now() const override { return now_; }
    std::chrono::system_clock::time_point wall() const override { return wall_; }

    void pass(std::chrono::nanoseconds time) {
        now_ += time;
        wall_ += std::chrono::duration_cast<std::chrono::system_clock::duration>(time);
    }

  private:
    std::chrono::nanoseconds now_{0};
    std::chrono::system_clock::time_point wall_ = std::chrono::sys_days(std::chrono::year(2024) / 2 / 29);
};

struct RecordedEvents final : MachineEvents {
    int resets = 0;
    int power_offs = 0;
    std::vector<std::uint16_t> exits;
    std::vector<platform::BootPhase> phases;

    void reset_requested() override { ++resets; }
    void power_off_requested() override { ++power_offs; }
    void exit_requested(std::uint16_t status) override { exits.push_back(status); }
    void boot_phase(platform::BootPhase phase) override { phases.push_back(phase); }
};

struct RecordedLine final : LevelLine {
    bool asserted = false;
    int changes = 0;

    void set(bool level) override {
        asserted = level;
        ++changes;
    }
};

/// Takes what the serial port sends, as long as there is room.
struct TextOutput final : SerialOutput {
    std::string text;
    std::size_t room = SIZE_MAX;

    std::size_t put(std::span<const std::byte> bytes) override {
        std::size_t taken = 0;
        for (; taken < bytes.size() && room > 0; ++taken, --room)
            text.push_back(std::to_integer<char>(bytes[taken]));
        return taken;
    }
};

/// Remembers its accesses; reads give the offset's low bytes.
struct RecordedHandler final : IoHandler {
    struct Access {
        bool write;
        std::uint64_t offset;
        std::size_t size;
        std::uint64_t value;
        bool operator==(const Access&) const = default;
    };
    std::vector<Access> accesses;

    void read(std::uint64_t offset, std::span<std::byte> data) override {
        put_value(data, offset);
        accesses.push_back({false, offset, data.size(), value_of(data)});
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) override {
        accesses.push_back({true, offset, data.size(), value_of(data)});
    }
};

/// One stretch of RAM from address `start`.
class FakeRam {
  public:
    explicit FakeRam(std::size_t size, std::uint64_t start = 0)
        : bytes_(size), memory_({{GuestAddress{start}, std::span(bytes_)}}) {}

    const GuestMemory& memory() const { return memory_; }
    std::span<std::byte> bytes() { return bytes_; }

  private:
    std::vector<std::byte> bytes_;
    GuestMemory memory_;
};

template <typename Target>
std::uint64_t read_value(Target& target, std::uint64_t address, std::size_t size) {
    std::byte bytes[8]{};
    target.read(address, std::span(bytes).first(size));
    return value_of(std::span(bytes).first(size));
}

template <typename Target>
void write_value(Target& target, std::uint64_t address, std::size_t size, std::uint64_t value) {
    std::byte bytes[8]{};
    put_value(bytes, value);
    target.write(address, std::span<const std::byte>(bytes).first(size));
}

inline std::vector<std::byte> bytes_of(std::initializer_list<unsigned> values) {
    std::vector<std::byte> bytes;
    for (const unsigned value : values) bytes.push_back(std::byte(value));
    return bytes;
}

}  // namespace exo::vmm::test
