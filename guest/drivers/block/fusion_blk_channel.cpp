#include "guest/drivers/block/fusion_blk_channel.h"

#include "guest/drivers/block/fusion_blk.h"

namespace exo::guest {

std::size_t FusionBlkChannel::submit(std::span<BlockRequest* const> requests) {
    std::size_t taken = 0;
    bool pushed = false;
    for (BlockRequest* request : requests) {
        auto status = end_before_device(device_.info(), *request, device_.dead());
        if (!status) {
            if (rings_.full()) break;
            if (rings_.push(*request)) {
                pushed = true;
            } else {
                fault();
                status = BlockStatus::device_failed;
            }
        }
        ++counters_.submitted;
        ++taken;
        if (status) counters_.end(*request, *status);
    }
    if (pushed && !device_.dead() && rings_.must_ring()) {
        ++counters_.doorbells;
        device_.ring_doorbell(index_);
    }
    return taken;
}

std::size_t FusionBlkChannel::poll() {
    const std::uint64_t before = counters_.completed;
    while (!device_.dead()) {
        const auto ended = rings_.pop();
        if (!ended) break;
        if (ended->request == nullptr) {
            fault();
        } else {
            if (ended->fault) ++counters_.faults;
            counters_.end(*ended->request, ended->status);
        }
    }
    // Whichever queue it was that had to switch the device off.
    if (device_.dead()) end_all(BlockStatus::device_failed);
    return static_cast<std::size_t>(counters_.completed - before);
}

/// The device has broken its protocol.
void FusionBlkChannel::fault() {
    ++counters_.faults;
    device_.switch_off();
    end_all(BlockStatus::device_failed);
}

bool FusionBlkChannel::prepare_sleep(std::uint32_t ends) {
    if (device_.dead() || !rings_.enable_interrupt(ends)) return false;
    ++counters_.sleeps;
    return true;
}

bool FusionBlkChannel::has_interrupt() const {
    return !device_.dead() && watch_.usable();
}

void FusionBlkChannel::announce(const IoPlan& plan) {
    announced_ = plan;
    rings_.announce(plan);
}

void FusionBlkChannel::recover() {
    device_.recover();
}

void FusionBlkChannel::format() {
    rings_.format();
    rings_.announce(announced_);
}

void FusionBlkChannel::end_all(BlockStatus status) {
    while (BlockRequest* const request = rings_.take_back()) counters_.end(*request, status);
}

}  // namespace exo::guest
