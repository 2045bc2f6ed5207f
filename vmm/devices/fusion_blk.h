#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shared/block/protocol.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/devices/disk_counters.h"
#include "vmm/devices/doorbells.h"
#include "vmm/devices/fusion_blk_queue.h"
#include "vmm/devices/queue_device.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

/// The host's time-stamp counter.
std::uint64_t read_tsc();

/// The fusion-blk device (shared/block/README.md) without its PCI face: registers and doorbells in, disk
/// requests and interrupts out. vCPUs use the registers; one I/O thread, which has the disk for itself, calls
/// service(). One lock stands between them; doorbells and interrupts pass it by.
class FusionBlk final : public QueueDevice {
  public:
    struct Options {
        std::string serial = {};  ///< the first 32 characters count
        std::uint32_t queue_count = 1;
        std::function<std::uint64_t()> tsc = read_tsc;  ///< the guest's; 0 while it is not known
    };

    /// `memory`, `disk` and `clock` outlive the device.
    static Result<std::unique_ptr<FusionBlk>> create(const GuestMemory& memory, Disk& disk,
                                                     const Clock& clock, const Options& options);

    void connect_interrupt(std::uint32_t vector, InterruptLine& line) override;

    /// BAR 0 without its MSI-X pages, from any thread.
    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

    std::uint32_t queue_count() const override { return doorbells_.count(); }
    /// Stands for a write of any value to block::bar::doorbell(queue).
    int doorbell_fd(std::uint32_t queue) const override { return doorbells_.fd(queue); }
    int completion_fd() const override { return disk_.completion_fd(); }
    using QueueDevice::service;
    bool service(Pass pass) override;
    Deadline deadline() const override { return deadline_; }
    void reset() override;
    bool quiescent() const override;
    void exchange_state(StateArchive& archive) override;

    /// From any thread. It may wake the I/O thread for nothing.
    DiskCounters counters();

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
    };

    FusionBlk(const GuestMemory& memory, Disk& disk, const Clock& clock, const Options& options,
              Doorbells doorbells);

    // fusion_blk_registers.cpp; all under the lock
    std::uint32_t read_register(std::uint32_t offset) const;
    std::uint32_t read_queue_register(std::uint32_t offset) const;
    std::uint32_t read_serial(std::uint32_t offset) const;
    void write_register(std::uint32_t offset, std::uint32_t value);
    void write_queue_register(std::uint32_t offset, std::uint32_t value);
    void write_status(std::uint32_t value);
    void enable(Queue& queue, std::uint32_t index);
    std::expected<FusionBlkQueue, block::QueueState> attach(const QueueRegisters& registers,
                                                            std::uint32_t index) const;
    void exchange_queue(StateArchive& archive, std::uint32_t index);  // fusion_blk_state.cpp
    void ring_doorbell(std::uint64_t offset) const;
    std::uint64_t offered_features() const;

    void reset_locked();
    void end_reset();
    bool work(Pass pass);
    std::size_t reap();
    bool finish_pass(Queue& queue, Pass pass);
    void raise_interrupts();

    Disk& disk_;
    const Clock& clock_;
    const std::string serial_;
    Doorbells doorbells_;
    std::vector<InterruptLine*> lines_;

    mutable std::mutex mutex_;
    FusionBlkShared shared_;
    block::DeviceStatus status_ = block::DeviceStatus::reset;
    std::uint64_t driver_features_ = 0;
    std::uint32_t queue_select_ = 0;
    std::vector<Queue> queues_;
    std::size_t first_queue_ = 0;  // that the next pass begins with, so that none starves the others

    // Of the I/O thread alone.
    bool more_completions_ = false;  // the disk may have, in this pass
    Deadline deadline_;
    std::vector<std::uint32_t> due_;  // vectors to raise when the lock is free
};

}  // namespace exo::vmm
