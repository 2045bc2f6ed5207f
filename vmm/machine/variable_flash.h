#pragma once

#include <cstdint>
#include <mutex>

#include "vmm/base/flash_memory.h"
#include "vmm/base/io_handler.h"
#include "vmm/base/state_archive.h"

namespace exo::vmm {

/// Whether the guest reads the flash as plain memory, or each read comes to the model.
class FlashMapping {
  public:
    virtual ~FlashMapping() = default;
    virtual void show_array(bool visible) = 0;
};

/// A flash chip with Intel's command set, as far as OVMF drives its variable store by it (QemuFlash.c): a
/// byte written is a command, or what the command before it waits for.
///
///     10, 40 then data   program            70   read the status from now on
///     20 then D0         erase the block    50   clear the status, read the array
///     FF                 read the array
///
/// Everything else leads back to reading the array. A chip would go on reading its status after programming
/// and erasing until FF comes; here the array stays readable, so that the guest's memory slot is taken away
/// for command 70 alone. Thread-safe.
class VariableFlash final : public IoHandler {
  public:
    static constexpr std::uint64_t block_size = 4096;
    static constexpr std::uint8_t status_ready = 0x80;

    /// All there is to a chip besides its cells.
    struct State {
        enum class Mode : std::uint8_t { array, status, program, erase };
        Mode mode = Mode::array;
        std::uint8_t status = 0;
        bool operator==(const State&) const = default;
    };

    VariableFlash(FlashMemory& memory, FlashMapping& mapping) : memory_(memory), mapping_(mapping) {}

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;
    State state() const;
    /// Saves or loads chip and cells. While the guest does not run.
    void exchange_state(StateArchive& archive);

  private:
    void command(std::uint8_t value);
    void enter(State::Mode mode);
    std::span<const std::byte> inside(std::uint64_t offset, std::span<const std::byte> data) const;

    FlashMemory& memory_;
    FlashMapping& mapping_;
    mutable std::mutex mutex_;
    State state_;
};

}  // namespace exo::vmm
