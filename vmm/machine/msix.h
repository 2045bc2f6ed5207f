#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "vmm/base/io_handler.h"
#include "vmm/base/state_archive.h"

namespace exo::vmm {

/// What a vector writes to interrupt: address and data of an MSI. Always inside layout::msi_window.
struct MsiMessage {
    std::uint64_t address;
    std::uint32_t data;
    bool operator==(const MsiMessage&) const = default;
};

/// Takes the interrupts of one function into the machine. Called with the function's MSI-X lock held, by vCPU
/// threads and device threads: must not call back into Msix, and must not block.
class MsixBackend {
  public:
    virtual ~MsixBackend() = default;
    /// The vector now stands for this message (program the irqfd's route), or, with none, cannot be delivered
    /// because it is masked, switched off or misprogrammed. Called only when that changes.
    virtual void route(unsigned vector, const std::optional<MsiMessage>& message) = 0;
    /// Interrupt now (write the irqfd). Only ever called while the vector has a message.
    virtual void deliver(unsigned vector) = 0;
};

/// MSI-X of one PCI function (PCI Local Bus 3.0, 6.8.2): table, pending bits, masks. A vector raised while it
/// cannot be delivered stays pending and is delivered when it can be.
class Msix {
  public:
    static constexpr std::uint32_t entry_size = 16;
    static constexpr unsigned max_vectors = 256;  ///< so that the table fits in a page

    struct Counts {
        std::uint64_t delivered = 0;
        std::uint64_t pended = 0;  ///< raised while not deliverable
        std::uint64_t misprogrammed =
            0;  ///< raised although the guest had given an address that is no interrupt
    };

    /// @param vectors  1 to max_vectors
    explicit Msix(unsigned vectors);

    unsigned vectors() const { return static_cast<unsigned>(entries_.size()); }
    std::uint32_t table_bytes() const { return vectors() * entry_size; }
    std::uint32_t pending_bytes() const { return (vectors() + 63) / 64 * 8; }

    /// May be set once, before the guest runs. Without it interrupts only become pending.
    void set_backend(MsixBackend* backend);

    /// For the device: an InterruptLine that raises this vector from any thread.
    InterruptLine& line(unsigned vector) { return lines_[vector]; }

    /// State of the capability and of the function: MSI-X enable with bus mastering on, and the function
    /// mask.
    void set_control(bool enabled, bool function_masked);

    /// The table and the pending bits as the guest sees them: aligned 4- and 8-byte accesses. Other reads are
    /// all ones, other writes and all writes to pending bits are ignored. Offsets from the start of each.
    void read_table(std::uint64_t offset, std::span<std::byte> data) const;
    void write_table(std::uint64_t offset, std::span<const std::byte> data);
    void read_pending(std::uint64_t offset, std::span<std::byte> data) const;

    Counts counts() const;

    /// Saves or loads the table; the capability's bits come by set_control(). An interrupt that was on its
    /// way is no part of it, so every vector that can interrupt does so once when it is loaded: without news
    /// an interrupt is harmless. While the guest does not run.
    void exchange_state(StateArchive& archive);

  private:
    struct Entry {
        std::uint32_t address_low = 0;
        std::uint32_t address_high = 0;
        std::uint32_t data = 0;
        std::uint32_t control = 1;  ///< bit 0: masked, as after reset
        bool pending = false;
        std::optional<MsiMessage> routed;
    };
    class Line final : public InterruptLine {
      public:
        Line(Msix& msix, unsigned vector) : msix_(msix), vector_(vector) {}
        void raise() override { msix_.raise(vector_); }

      private:
        Msix& msix_;
        unsigned vector_;
    };

    void raise(unsigned vector);
    void update(unsigned vector);
    bool unmasked(const Entry& entry) const;
    std::uint32_t table_word(std::uint64_t offset) const;
    void set_table_word(std::uint64_t offset, std::uint32_t value);

    mutable std::mutex mutex_;
    std::vector<Entry> entries_;
    std::vector<Line> lines_;
    MsixBackend* backend_ = nullptr;
    bool enabled_ = false;
    bool function_masked_ = false;
    Counts counts_;
};

}  // namespace exo::vmm
