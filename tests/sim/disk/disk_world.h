#pragma once

#include <sys/epoll.h>

#include <memory>
#include <string>

#include "guest/drivers/block/adaptive_queue.h"
#include "guest/drivers/block/block_device.h"
#include "tests/sim/disk/broken_disk.h"
#include "tests/sim/disk/disk_simulation.h"
#include "tests/sim/disk/simulated_disk.h"
#include "tests/unit/devices/guest_side.h"
#include "vmm/base/clock.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/devices/queue_device.h"
#include "vmm/devices/virtio_blk.h"

namespace exo::sim {

/// The device's I/O thread as a state machine: it sleeps on the very descriptors that DeviceThread sleeps on,
/// so a signal that does not come is one that is lost.
class SimulatedIoThread {
  public:
    explicit SimulatedIoThread(vmm::QueueDevice& device);
    /// One pass, if it is awake or something has woken it; false when it sleeps.
    bool turn(std::chrono::nanoseconds now, vmm::Pass pass);
    /// It sleeps, and no time-out is due that would wake it.
    bool asleep() const { return !awake_ && !device_.deadline(); }
    /// One of the descriptors may have been signalled: only then is it worth a system call to ask them.
    void look() { may_be_signalled_ = true; }

  private:
    bool woken(std::chrono::nanoseconds now);

    vmm::QueueDevice& device_;
    vmm::FileDescriptor waiter_;
    bool awake_ = true;
    bool may_be_signalled_ = true;
};

/// Guest's driver, VMM's device, I/O thread and disk. The guest runs; whenever it waits, or touches a
/// register, chance decides who of the others has a turn.
class DiskWorld final : public vmm::IoHandler {
  public:
    static constexpr std::size_t sectors = 64;

    DiskWorld(DiskKind kind, Random& random, const DiskFaults& faults, Defect defect);
    ~DiskWorld() override;

    guest::BlockDevice& driver() { return *driver_; }
    test::GuestRam& ram() { return ram_; }
    test::GuestSide& guest() { return *guest_; }
    SimulatedDisk& disk() { return disk_; }

    /// The first thing that was wrong; empty so far.
    const std::string& problem() const { return problem_; }
    void report(std::string problem);

    // Registers, for the guest.
    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;

  private:
    class VirtualClock final : public vmm::Clock {
      public:
        explicit VirtualClock(DiskWorld& world) : world_(world) {}
        std::chrono::nanoseconds now() const override { return world_.now(); }
        std::chrono::system_clock::time_point wall() const override { return {}; }

      private:
        DiskWorld& world_;
    };
    class Line final : public vmm::InterruptLine {
      public:
        explicit Line(DiskWorld& world) : world_(world) {}
        void raise() override;

      private:
        DiskWorld& world_;
    };

    void make_device(DiskKind kind);
    void make_driver(DiskKind kind);
    std::chrono::nanoseconds now() const;
    bool step();
    void look_for_stall(bool ran);
    bool is_lost(Defect defect) { return defect_ == defect && random_.below(16) == 0; }

    Random& random_;
    Defect defect_;
    std::string problem_;
    unsigned stalled_ = 0;
    test::GuestRam ram_{512 << 10};
    SimulatedDisk disk_;
    BrokenDisk broken_;
    VirtualClock clock_{*this};
    Line line_{*this};
    std::unique_ptr<vmm::VirtioBlk> virtio_model_;
    std::unique_ptr<vmm::QueueDevice> device_;
    std::uint64_t doorbells_at_ = 0;
    std::unique_ptr<SimulatedIoThread> thread_;
    std::unique_ptr<test::GuestSide> guest_;
    std::unique_ptr<guest::BlockDevice> driver_;
};

}  // namespace exo::sim
