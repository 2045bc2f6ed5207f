#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "tests/sim/disk/disk_simulation.h"
#include "vmm/storage/disk.h"

namespace exo::sim {

/// Stands between a device and its disk, and does what no device may.
class BrokenDisk final : public vmm::Disk {
  public:
    BrokenDisk(vmm::Disk& disk, Defect defect) : disk_(disk), defect_(defect) {}

    const vmm::DiskGeometry& geometry() const override { return disk_.geometry(); }
    std::string description() const override { return "broken"; }
    std::size_t depth() const override { return disk_.depth(); }
    int completion_fd() const override { return disk_.completion_fd(); }

    void submit(std::span<const vmm::DiskRequest> requests) override {
        for (vmm::DiskRequest request : requests) {
            if (defect_ == Defect::dropped_fua) request.fua = false;
            const bool early =
                (defect_ == Defect::early_flush && request.operation == vmm::DiskOperation::flush) ||
                (defect_ == Defect::early_write && request.operation == vmm::DiskOperation::write);
            if (early) tell_at_once(request);
            disk_.submit({&request, 1});
        }
    }

    std::size_t reap(std::span<vmm::DiskCompletion> completions) override {
        std::size_t count = 0;
        for (; count < completions.size() && !early_.empty(); early_.pop_front())
            completions[count++] = early_.front();
        std::array<vmm::DiskCompletion, 64> some;
        for (std::size_t got = 1; got > 0 && count < completions.size();) {
            got = disk_.reap(std::span(some).first(std::min(some.size(), completions.size() - count)));
            for (const vmm::DiskCompletion& one : std::span(some).first(got))
                if (std::erase(told_, one.cookie) == 0) completions[count++] = one;
        }
        if (defect_ == Defect::swapped_completions && count > 1)
            std::swap(completions[0].cookie, completions[1].cookie);
        return count;
    }

  private:
    void tell_at_once(const vmm::DiskRequest& request) {
        std::uint64_t bytes = 0;
        for (const iovec& segment : request.segments) bytes += segment.iov_len;
        early_.push_back({.cookie = request.cookie, .bytes = bytes});
        told_.push_back(request.cookie);
    }

    vmm::Disk& disk_;
    Defect defect_;
    std::deque<vmm::DiskCompletion> early_;
    std::vector<std::uint64_t> told_;
};

}  // namespace exo::sim
