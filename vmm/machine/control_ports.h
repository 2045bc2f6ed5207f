#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>

#include "vmm/base/state_archive.h"
#include "vmm/machine/byte_handler.h"
#include "vmm/machine/machine_events.h"

namespace exo::vmm {

/// OVMF's debug log: a read tells that somebody listens, each byte written is a character. Called on vCPU
/// threads.
class DebugPort final : public IoHandler {
  public:
    using Output = std::function<void(std::span<const std::byte>)>;
    explicit DebugPort(Output output) : output_(std::move(output)) {}

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    Output output_;
};

/// Port 0x92: bit 1 is the A20 gate, which does nothing here and keeps its value; a one in bit 0 resets.
class SystemControlPort final : public ByteHandler {
  public:
    explicit SystemControlPort(MachineEvents& events) : events_(events) {}

    void exchange_state(StateArchive& archive) {
        std::uint8_t value = value_;
        archive(value);
        value_ = value;
    }

  private:
    std::uint8_t read_byte(std::uint64_t offset) override;
    void write_byte(std::uint64_t offset, std::uint8_t value) override;

    MachineEvents& events_;
    std::atomic<std::uint8_t> value_ = 2;
};

/// Port 0x64 without a keyboard controller: command 0xFE, which pulses the reset line, still resets.
class KeyboardCommandPort final : public ByteHandler {
  public:
    explicit KeyboardCommandPort(MachineEvents& events) : events_(events) {}

  private:
    std::uint8_t read_byte(std::uint64_t) override { return 0xff; }
    void write_byte(std::uint64_t offset, std::uint8_t value) override;

    MachineEvents& events_;
};

/// The machine-control ports of shared/platform/platform.h, each of one access size; others are ignored.
class ExitPort final : public IoHandler {
  public:
    static constexpr std::uint64_t size = 2;
    explicit ExitPort(MachineEvents& events) : events_(events) {}

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    /// A status that is not a guest's to give counts as the guest having died.
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    MachineEvents& events_;
};

class PhasePort final : public IoHandler {
  public:
    explicit PhasePort(MachineEvents& events) : events_(events) {}

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    MachineEvents& events_;
};

/// Hardware that firmware probes for and shall not find.
class AbsentHardware final : public IoHandler {
  public:
    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t, std::span<const std::byte>) override {}
};

}  // namespace exo::vmm
