#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "guest/drivers/block/block_device.h"
#include "tests/bench/block/futex_interrupt.h"
#include "tests/bench/block/hosted_time.h"
#include "tests/bench/block/temporary_image.h"
#include "tests/unit/devices/guest_ram.h"
#include "tests/unit/devices/guest_side.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/devices/device_thread.h"
#include "vmm/devices/queue_device.h"
#include "vmm/devices/virtio_device.h"
#include "vmm/storage/disk.h"

namespace exo::bench {

class DelayedDisk;

/// What a disk of the benchmark is.
struct DiskKind {
    std::string name;                  ///< in reports
    std::chrono::nanoseconds delay{};  ///< that a request takes in a disk in memory; 0 is as fast as it can
    bool on_file = false;              ///< an image in /tmp, served by io_uring, instead
};

enum class Protocol : std::uint8_t { fusion, virtio };

/// The guest's driver and the VMM's device of one disk, over one piece of memory in this process. Either in
/// two threads, as in a virtual machine, the device's on a CPU of its own; or in one, where the caller gives
/// the device its turns.
class BlockMachine final : guest::InterruptSupply {
  public:
    static constexpr std::size_t disk_bytes = 16u << 20;

    struct Setup {
        Protocol protocol = Protocol::fusion;
        DiskKind disk;
        std::optional<int> device_cpu = 0;  ///< for the device's thread; none: no thread
    };
    /// `time` outlives the machine.
    static vmm::Result<std::unique_ptr<BlockMachine>> create(const Setup& setup, HostedTime& time);
    ~BlockMachine();
    BlockMachine(const BlockMachine&) = delete;
    BlockMachine& operator=(const BlockMachine&) = delete;

    guest::BlockDevice& disk() { return *driver_; }
    vmm::QueueDevice& device() { return *device_; }
    HostedTime& time() { return time_; }
    std::uint64_t interrupts() const { return interrupt_.count(); }

    /// Of a disk that has one.
    void set_delay(std::chrono::nanoseconds delay);
    /// Memory that the device reaches, for the life of the machine.
    guest::DmaSpan memory(std::size_t bytes);

  private:
    explicit BlockMachine(HostedTime& time) : time_(time), interrupt_(time) {}

    vmm::Result<void> open_disk(const DiskKind& kind);
    vmm::Result<void> start_device(const Setup& setup);
    vmm::Result<void> start_driver(Protocol protocol);

    guest::Result<guest::MsiInterrupt> allocate_msi(unsigned cpu) override;
    guest::Result<guest::Interrupt*> legacy_irq(unsigned line) override;

    HostedTime& time_;
    test::GuestRam ram_{8u << 20};
    vmm::SystemClock clock_;
    vmm::Pollers pollers_{vmm::usable_cpus(), 1};
    FutexInterrupt interrupt_;
    std::optional<TemporaryImage> image_;
    std::unique_ptr<vmm::Disk> storage_;
    DelayedDisk* delayed_ = nullptr;
    std::unique_ptr<vmm::VirtioDevice> model_;  ///< behind a virtio transport
    std::unique_ptr<vmm::QueueDevice> device_;
    std::unique_ptr<test::GuestSide> guest_;
    std::unique_ptr<vmm::DeviceThread> thread_;
    std::unique_ptr<guest::BlockDevice> driver_;
};

}  // namespace exo::bench
