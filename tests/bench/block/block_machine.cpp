#include "tests/bench/block/block_machine.h"

#include <sched.h>

#include "guest/drivers/block/fusion_blk.h"
#include "guest/drivers/block/virtio_blk.h"
#include "tests/bench/block/delayed_disk.h"
#include "tests/unit/devices/virtio_face.h"
#include "vmm/devices/fusion_blk.h"
#include "vmm/devices/virtio_blk.h"
#include "vmm/storage/open_disk.h"

namespace exo::bench {
namespace {

/// Starts threads on another CPU than the caller's: they inherit where they may run.
class OnCpu {
  public:
    explicit OnCpu(int cpu) {
        sched_getaffinity(0, sizeof(before_), &before_);
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<std::size_t>(cpu), &set);
        sched_setaffinity(0, sizeof(set), &set);
    }
    ~OnCpu() { sched_setaffinity(0, sizeof(before_), &before_); }
    OnCpu(const OnCpu&) = delete;
    OnCpu& operator=(const OnCpu&) = delete;

  private:
    cpu_set_t before_{};
};

}  // namespace

vmm::Result<std::unique_ptr<BlockMachine>> BlockMachine::create(const Setup& setup, HostedTime& time) {
    std::unique_ptr<BlockMachine> machine(new BlockMachine(time));
    if (const auto done = machine->open_disk(setup.disk); !done) return std::unexpected(done.error());
    if (const auto done = machine->start_device(setup); !done) return std::unexpected(done.error());
    if (const auto done = machine->start_driver(setup.protocol); !done) return std::unexpected(done.error());
    return machine;
}

BlockMachine::~BlockMachine() {
    driver_.reset();
    if (thread_) thread_->stop();
}

vmm::Result<void> BlockMachine::open_disk(const DiskKind& kind) {
    if (kind.on_file) {
        image_.emplace(disk_bytes);
        if (!image_->good()) return vmm::fail("image of the benchmark's disk", "cannot be made in /tmp");
        auto opened = vmm::open_disk({.path = image_->path()}, vmm::DiskBackend::io_uring);
        if (!opened) return std::unexpected(opened.error());
        storage_ = std::move(*opened);
        return {};
    }
    auto memory = vmm::MemoryDisk::create(std::vector<std::byte>(disk_bytes));
    if (!memory) return std::unexpected(memory.error());
    if (kind.delay.count() == 0) {
        storage_ = std::make_unique<vmm::MemoryDisk>(std::move(*memory));
        return {};
    }
    auto delayed = DelayedDisk::create(std::move(*memory), kind.delay);
    if (!delayed) return std::unexpected(delayed.error());
    delayed_ = delayed->get();
    storage_ = std::move(*delayed);
    return {};
}

vmm::Result<void> BlockMachine::start_device(const Setup& setup) {
    test::DeviceFace face;
    if (setup.protocol == Protocol::virtio) {
        model_ = std::make_unique<vmm::VirtioBlk>(*storage_, vmm::VirtioBlk::Options{});
        auto device = vmm::VirtioPci::create(ram_.memory(), *model_);
        if (!device) return std::unexpected(device.error());
        device_ = std::move(*device);
        face = test::face_of(*model_);
    } else {
        auto device = vmm::FusionBlk::create(ram_.memory(), *storage_, clock_, {});
        if (!device) return std::unexpected(device.error());
        device_ = std::move(*device);
    }
    guest_ = std::make_unique<test::GuestSide>(ram_, *device_, nullptr, face);
    device_->connect_interrupt(0, interrupt_);
    if (!setup.device_cpu) return {};
    const OnCpu there(*setup.device_cpu);
    auto thread = vmm::DeviceThread::create(*device_, clock_, "bench-disk", pollers_, std::nullopt);
    if (!thread) return std::unexpected(thread.error());
    thread_ = std::move(*thread);
    return thread_->start();
}

vmm::Result<void> BlockMachine::start_driver(Protocol protocol) {
    const auto take = [this](auto made) -> vmm::Result<void> {
        if (!made) return vmm::fail("driver of the benchmark's disk", std::string(made.error().why));
        driver_ = std::move(*made);
        return {};
    };
    const guest::DriverServices services{time_, *guest_, *this, *guest_};
    if (protocol == Protocol::virtio) return take(guest::VirtioBlk::create(guest_->function(), services));
    return take(guest::FusionBlk::create(guest_->function(), services));
}

void BlockMachine::set_delay(std::chrono::nanoseconds delay) {
    if (delayed_ != nullptr) delayed_->set_delay(delay);
}

guest::DmaSpan BlockMachine::memory(std::size_t bytes) {
    const std::uint64_t physical = ram_.allocate(bytes);
    return {ram_.at(physical), physical, bytes};
}

guest::Result<guest::MsiInterrupt> BlockMachine::allocate_msi(unsigned) {
    return guest::MsiInterrupt{&interrupt_, {test::GuestSide::msi_address, 0x41}};
}

guest::Result<guest::Interrupt*> BlockMachine::legacy_irq(unsigned) {
    return guest::fail("no legacy interrupts", "the device has none");
}

}  // namespace exo::bench
