#include "tests/sim/disk/disk_world.h"

#include <utility>

#include "guest/drivers/block/fusion_blk.h"
#include "guest/drivers/block/virtio_blk.h"
#include "tests/unit/devices/virtio_face.h"
#include "vmm/devices/fusion_blk.h"
#include "vmm/devices/virtio_pci.h"

namespace exo::sim {
namespace {

/// Turns in which nobody can do anything, and requests are out, until that counts as a stall.
constexpr unsigned stall_limit = 20;

}  // namespace

SimulatedIoThread::SimulatedIoThread(vmm::QueueDevice& device)
    : device_(device), waiter_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    ::epoll_ctl(waiter_.get(), EPOLL_CTL_ADD, device.completion_fd(), &event);
    for (std::uint32_t queue = 0; queue < device.queue_count(); ++queue)
        ::epoll_ctl(waiter_.get(), EPOLL_CTL_ADD, device.doorbell_fd(queue), &event);
}

bool SimulatedIoThread::woken(std::chrono::nanoseconds now) {
    if (const vmm::Deadline deadline = device_.deadline(); deadline && *deadline <= now) return true;
    if (!std::exchange(may_be_signalled_, false)) return false;
    epoll_event events[4];
    return ::epoll_wait(waiter_.get(), events, 4, 0) > 0;
}

bool SimulatedIoThread::turn(std::chrono::nanoseconds now, vmm::Pass pass) {
    awake_ = awake_ || woken(now);
    if (!awake_) return false;
    const bool more = device_.service(pass);
    if (pass == vmm::Pass::rest) awake_ = more;
    return true;
}

DiskWorld::DiskWorld(DiskKind kind, Random& random, const DiskFaults& faults, Defect defect)
    : random_(random), defect_(defect), disk_(sectors, faults, random), broken_(disk_, defect) {
    if (defect == Defect::unguarded_flush) disk_.distrust_nothing();
    make_device(kind);
    device_->connect_interrupt(0, line_);
    thread_ = std::make_unique<SimulatedIoThread>(*device_);
    make_driver(kind);
}

DiskWorld::~DiskWorld() {
    driver_.reset();
}

void DiskWorld::make_device(DiskKind kind) {
    if (kind == DiskKind::fusion_blk) {
        doorbells_at_ = block::bar::doorbells;
        device_ = std::move(*vmm::FusionBlk::create(ram_.memory(), broken_, clock_,
                                                    {.serial = "sim", .tsc = [] { return 0; }}));
        return;
    }
    doorbells_at_ = vmm::VirtioPci::notify_offset;
    virtio_model_ = std::make_unique<vmm::VirtioBlk>(broken_, vmm::VirtioBlk::Options{.serial = "sim"});
    device_ = std::move(*vmm::VirtioPci::create(ram_.memory(), *virtio_model_));
}

void DiskWorld::make_driver(DiskKind kind) {
    const auto face = kind == DiskKind::fusion_blk ? test::DeviceFace{} : test::face_of(*virtio_model_);
    guest_ = std::make_unique<test::GuestSide>(ram_, *this, [this] { return step(); }, face);
    const auto take = [this](auto made) {
        if (made)
            driver_ = std::move(*made);
        else
            report("the driver does not start: " + std::string(made.error().why));
    };
    if (kind == DiskKind::fusion_blk)
        take(guest::FusionBlk::create(guest_->function(), guest_->services()));
    else
        take(guest::VirtioBlk::create(guest_->function(), guest_->services()));
}

void DiskWorld::report(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
}

void DiskWorld::read(std::uint64_t offset, std::span<std::byte> data) {
    if (random_.below(8) == 0) step();
    device_->read(offset, data);
}

void DiskWorld::write(std::uint64_t offset, std::span<const std::byte> data) {
    if (random_.below(8) == 0) step();
    if (offset >= doorbells_at_ && is_lost(Defect::lost_doorbell)) return;
    device_->write(offset, data);
    thread_->look();
    if (random_.below(8) == 0) step();
}

void DiskWorld::Line::raise() {
    if (!world_.is_lost(Defect::lost_interrupt)) world_.guest_->line().raise();
}

std::chrono::nanoseconds DiskWorld::now() const {
    return std::chrono::nanoseconds(guest_->now_ns());
}

/// Disk and I/O thread may each have a turn; either may also be held up.
bool DiskWorld::step() {
    bool ran = false;
    if (random_.below(4) == 0) {
        ran |= !disk_.idle();
    } else if (disk_.advance(now())) {
        thread_->look();
        ran = true;
    }
    if (random_.below(4) != 0)
        ran |= thread_->turn(now(), random_.below(4) == 0 ? vmm::Pass::poll : vmm::Pass::rest);
    else
        ran |= !thread_->asleep();
    look_for_stall(ran);
    return ran;
}

/// With requests out, somebody must have something to do. The driver would find them in the end, when it
/// looks by itself or loses patience; that is no excuse for a wake-up that was not sent.
void DiskWorld::look_for_stall(bool ran) {
    if (!driver_ || ran || !disk_.idle() || !thread_->asleep()) {
        stalled_ = 0;
        return;
    }
    const guest::BlockQueueCounters& counters = driver_->queue(0).counters();
    stalled_ = counters.submitted != counters.completed ? stalled_ + 1 : 0;
    if (stalled_ > stall_limit) report("a wake-up was lost: requests are out, and everybody sleeps");
}

}  // namespace exo::sim
