#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shared/block/protocol.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/guest_memory.h"
#include "vmm/base/io_handler.h"
#include "vmm/devices/fusion_blk_counters.h"
#include "vmm/devices/fusion_blk_queue.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// The time-stamp counter, for traces.
std::uint64_t read_tsc();

/// The fusion-blk device (shared/block/README.md) without its PCI face: registers and doorbells in, disk
/// requests and interrupts out. vCPUs use the registers; one I/O thread, which has the disk for itself, calls
/// service(). One lock stands between them; doorbells and interrupts pass it by.
class FusionBlk final : public IoHandler {
  public:
    struct Options {
        std::string serial = {};  ///< the first 32 characters count
        std::uint32_t queue_count = 1;
        std::uint64_t (*tsc)() = read_tsc;
    };

    /// `memory`, `disk` and `clock` outlive the device.
    static Result<std::unique_ptr<FusionBlk>> create(const GuestMemory& memory, Disk& disk,
                                                     const Clock& clock, const Options& options);

    /// Interrupt vectors, one a queue is enough. Before the guest runs; the line outlives the device.
    void connect_interrupt(std::uint32_t vector, InterruptLine& line);

    /// BAR 0 without its MSI-X pages, from any thread.
    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

    std::uint32_t queue_count() const { return static_cast<std::uint32_t>(doorbells_.size()); }
    /// An eventfd that stands for a write of any value to block::bar::doorbell(queue): for ioeventfd, and for
    /// the I/O thread to wait on. Nobody reads it but counters(): wait edge-triggered.
    int doorbell_fd(std::uint32_t queue) const { return doorbells_[queue].get(); }
    int completion_fd() const { return disk_.completion_fd(); }

    /// One bounded pass: reaps the disk, takes submissions, hands out completions, raises interrupts. To be
    /// called after a doorbell or a completion, and again while it returns true; when it returns false, all
    /// that can happen next is announced by one of the descriptors. One thread at a time.
    bool service();

    /// What writing DeviceStatus::reset does. The device no longer reads the guest's rings when this returns,
    /// and touches no guest memory once it is quiescent().
    void reset();
    /// No request is in the disk.
    bool quiescent() const;

    /// From any thread. It may wake the I/O thread for nothing.
    FusionBlkCounters counters();

  private:
    struct QueueRegisters {
        std::uint32_t ring_capacity = 0;
        std::uint64_t submission_ring = 0;
        std::uint64_t completion_ring = 0;
        std::uint32_t vector = block::no_vector;
        block::QueueState state = block::QueueState::disabled;
    };
    struct Queue {
        QueueRegisters registers;
        std::optional<FusionBlkQueue> engine;  // while enabled
        std::uint64_t doorbells = 0;
        std::uint64_t own_doorbells = 0;  // rung by counters(), and still in the descriptor
    };

    FusionBlk(const GuestMemory& memory, Disk& disk, const Clock& clock, const Options& options,
              std::vector<EventFd> doorbells);

    // fusion_blk_registers.cpp; all under the lock
    std::uint32_t read_register(std::uint32_t offset) const;
    std::uint32_t read_queue_register(std::uint32_t offset) const;
    std::uint32_t read_serial(std::uint32_t offset) const;
    void write_register(std::uint32_t offset, std::uint32_t value);
    void write_queue_register(std::uint32_t offset, std::uint32_t value);
    void write_status(std::uint32_t value);
    void enable(Queue& queue, std::uint32_t index);
    void ring_doorbell(std::uint64_t offset) const;
    std::uint64_t offered_features() const;

    void reset_locked();
    void end_reset();
    bool work();
    bool reap();
    void raise_interrupts();

    Disk& disk_;
    const Clock& clock_;
    const std::string serial_;
    const std::vector<EventFd> doorbells_;
    std::vector<InterruptLine*> lines_;

    mutable std::mutex mutex_;
    FusionBlkShared shared_;
    block::DeviceStatus status_ = block::DeviceStatus::reset;
    std::uint64_t driver_features_ = 0;
    std::uint32_t queue_select_ = 0;
    std::vector<Queue> queues_;

    std::vector<std::uint32_t> due_;  // vectors to raise when the lock is free; of the I/O thread alone
};

}  // namespace exo::vmm
