#include <poll.h>

#include <array>

#include "vmm/machine/machine.h"

namespace exo::vmm {
namespace {

/// KVM takes TSCs that differ by no more for the same.
constexpr std::uint64_t tsc_tolerance_ppm = 250;

/// Puts what the guest has written on stable storage. Nobody else uses the disk.
Result<void> flush(Disk& disk) {
    if (disk.geometry().read_only) return {};
    const DiskRequest request{.operation = DiskOperation::flush};
    disk.submit({&request, 1});
    DiskCompletion completion;
    while (disk.reap({&completion, 1}) == 0) {
        pollfd completed{disk.completion_fd(), POLLIN, 0};
        ::poll(&completed, 1, -1);
        eventfd_t count = 0;
        static_cast<void>(::eventfd_read(disk.completion_fd(), &count));
    }
    if (completion.error != 0) return fail_errno("cannot flush a disk for a snapshot", completion.error);
    return {};
}

}  // namespace

void Machine::request_pause() {
    const std::lock_guard lock(mutex_);
    if (end_ || pausing_) return;
    pausing_ = true;
    if (threads_run_) kick_vcpus();
}

/// KVM_RUN carries out what is left of the last access before it tells that it was interrupted, so the vCPU
/// stands between two instructions.
void Machine::park(Vcpu& vcpu) {
    std::unique_lock lock(mutex_);
    if (!pausing_) return;
    ++parked_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !pausing_ || end_; });
    --parked_;
    if (!end_) vcpu.take_back_exit_request();
}

Result<bool> Machine::pause() {
    request_pause();
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return parked_ == cpus_ || end_; });
        if (end_) return false;
    }
    for (AttachedDevice* const device : devices_) device->pause();
    for (Disk* const disk : storage_)
        if (auto done = flush(*disk); !done) return std::unexpected(done.error());
    return true;
}

void Machine::resume() {
    if (const auto started = start_devices(); !started) return die(started.error().message());
    const std::lock_guard lock(mutex_);
    pausing_ = false;
    changed_.notify_all();
}

Result<void> Machine::save_as(const std::filesystem::path& path, const std::vector<SnapshotFact>& facts) {
    StateArchive archive;
    exchange_frequency(archive, true);
    exchange_state(archive);
    if (auto done = archive.finish(); !done) return done;
    return SnapshotFile::write(path, facts, archive.saved(), ram_.host());
}

Result<void> Machine::restore(const SnapshotFile& snapshot, SnapshotKind kind) {
    StateArchive archive(snapshot.state());
    // Firmware measures time by the power management timer alone.
    exchange_frequency(archive, kind == SnapshotKind::guest);
    exchange_state(archive);
    return archive.finish();
}

void Machine::exchange_frequency(StateArchive& archive, bool matters) {
    archive.section("the time-stamp counter", [&] {
        std::uint32_t khz = vcpus_.front()->vcpu.tsc_khz();
        const std::uint64_t here = khz;
        archive(khz);
        const std::uint64_t difference = khz > here ? khz - here : here - khz;
        if (matters && difference * 1'000'000 > here * tsc_tolerance_ppm)
            archive.refuse(fmt::format("it counted at {} kHz, and this host's counts at {} kHz", khz, here));
    });
}

/// Interrupt controllers and vCPUs come first: when a device is loaded it raises its pin or its messages in
/// them.
void Machine::exchange_state(StateArchive& archive) {
    archive.section("the interrupt controllers", [&] { vm_.exchange_state(archive); });
    for (std::size_t id = 0; id < vcpus_.size(); ++id)
        archive.section(fmt::format("vCPU {}", id),
                        [&] { vcpus_[id]->vcpu.exchange_state(archive, msr_indices_); });
    // The guest's counter went on from where it stood when it was saved.
    if (archive.loading()) tsc_offset_ = vcpus_.front()->vcpu.tsc_offset();
    platform_->exchange_state(archive);
    for (std::size_t i = 0; i < devices_.size(); ++i)
        archive.section(fmt::format("device {}", i), [&] { devices_[i]->exchange_state(archive); });
}

}  // namespace exo::vmm
