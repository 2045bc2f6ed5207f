#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "vmm/base/clock.h"
#include "vmm/storage/disk.h"
#include "vmm/storage/token_bucket.h"

namespace exo::vmm {

/// What a guest may do with a disk in a second; 0 for no limit.
struct DiskRates {
    std::uint64_t operations = 0;
    std::uint64_t bytes = 0;

    bool limited() const { return operations != 0 || bytes != 0; }
};

/// A disk with a limited rate. Requests beyond it wait in their order; none fails for it.
class LimitedDisk final : public Disk {
  public:
    /// `disk` and `clock` outlive this.
    LimitedDisk(Disk& disk, const Clock& clock, const DiskRates& rates)
        : disk_(disk), clock_(clock), operations_(rates.operations), bytes_(rates.bytes) {}

    const DiskGeometry& geometry() const override { return disk_.geometry(); }
    std::string description() const override { return disk_.description() + ", limited"; }
    std::size_t depth() const override { return disk_.depth(); }
    void submit(std::span<const DiskRequest> requests) override;
    std::size_t reap(std::span<DiskCompletion> completions) override;
    int completion_fd() const override { return disk_.completion_fd(); }
    Deadline deadline() const override;
    void cancel() override;

    /// Requests that had to wait.
    std::uint64_t delayed() const { return delayed_; }

  private:
    struct Waiting {
        DiskRequest request;
        std::vector<iovec> segments;
    };
    bool may_start(std::chrono::nanoseconds now) const;
    void pay(const DiskRequest& request, std::chrono::nanoseconds now);
    void start_waiting();

    Disk& disk_;
    const Clock& clock_;
    TokenBucket operations_;
    TokenBucket bytes_;
    std::deque<Waiting> waiting_;
    std::deque<std::uint64_t> cancelled_;  ///< cookies
    std::uint64_t delayed_ = 0;
};

}  // namespace exo::vmm
