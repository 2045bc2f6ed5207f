#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/disk/stamp.h"
#include "tests/sim/random.h"
#include "vmm/base/event_fd.h"
#include "vmm/storage/disk.h"
#include "vmm/storage/flush_guard.h"

namespace exo::sim {

/// What goes wrong on a disk, each in so many of a thousand requests.
struct DiskFaults {
    unsigned io_error = 0;        ///< nothing is moved
    unsigned torn = 0;            ///< any of the sectors are moved, then an error
    unsigned short_transfer = 0;  ///< the first ones are moved, and no error is told
    unsigned no_space = 0;        ///< of writes
    unsigned lost_write = 0;      ///< what was written never reaches the medium, and one call is told
    unsigned lost = 0;            ///< the disk stops to answer: to this request, and to all others
    std::chrono::nanoseconds slowest = std::chrono::microseconds(100);  ///< that a request takes
    std::optional<std::chrono::nanoseconds> comes_back = {};  ///< so long after it was lost; none for never
};

/// A disk with a volatile cache, in virtual time. Requests end in any order, and fail as they are told to.
/// Where the cache is one of the host's kernel, which tells of a write that it lost to one flush or forced
/// write and then forgets it, a FlushGuard makes sense of that as the back-ends do.
/// It knows what a crash could leave of it: of each sector any version that was written since the last one
/// that a flush or a forced write has made stable, independent of all other sectors. So subsets of the
/// unflushed writes, their order and torn ones are all covered at once, without trying them one by one.
class SimulatedDisk final : public vmm::Disk {
  public:
    SimulatedDisk(std::size_t sectors, const DiskFaults& faults, Random& random);

    /// Before and after everything that changes what a crash would leave.
    std::function<void()> kill_point;

    /// Hands on what the host's kernel says, as no back-end may.
    void distrust_nothing() { guarded_ = false; }

    /// Ends what is due; true when there was any.
    bool advance(std::chrono::nanoseconds now);
    bool idle() const { return in_flight_.empty() && done_.empty(); }
    /// Calls `visit(sector, version)` with all that a crash could leave now.
    template <typename Visit>
    void each_survivor(Visit visit) const {
        for (std::size_t sector = 0; sector < sectors_.size(); ++sector) {
            visit(sector, sectors_[sector].stable);
            for (const Unstable& unstable : sectors_[sector].unstable) visit(sector, unstable.version);
        }
    }
    /// A sector was written that no request of the guest looks like.
    bool saw_foreign_data() const { return saw_foreign_data_; }

    const vmm::DiskGeometry& geometry() const override { return geometry_; }
    std::string description() const override { return "simulated"; }
    std::size_t depth() const override { return 32; }
    void submit(std::span<const vmm::DiskRequest> requests) override;
    std::size_t reap(std::span<vmm::DiskCompletion> completions) override;
    int completion_fd() const override { return completed_.get(); }

  private:
    struct Unstable {
        Version version = 0;
        std::uint64_t written_at = 0;  ///< the event with which it ended; 0 while it is under way
        bool lost = false;             ///< no flush will write it
    };
    struct Sector {
        Version cached = 0;
        Version stable = 0;
        std::vector<Unstable> unstable = {};  ///< in the order of their beginning
    };
    struct InFlight {
        vmm::DiskRequest request;
        std::vector<iovec> segments;
        std::vector<Version> versions;  ///< of a write
        std::uint64_t begun_at = 0;     ///< the last event before it
        std::chrono::nanoseconds due{};
        vmm::FlushTicket ticket;
    };

    struct Done {
        vmm::DiskCompletion completion;
        vmm::FlushTicket ticket;
    };

    void begin(InFlight& one);
    void take_versions(InFlight& one);
    vmm::DiskCompletion carry_out(const InFlight& one);
    std::uint64_t move(const InFlight& one, std::size_t sectors, bool some);
    void end_write(Sector& sector, Version version, bool fua);
    void forget_unwritten(const InFlight& one);
    void make_stable(std::uint64_t begun_at);
    void lose_a_write();
    bool take(std::optional<vmm::DiskCompletion>& told);

    DiskFaults faults_;
    Random& random_;
    vmm::DiskGeometry geometry_;
    vmm::EventFd completed_;
    std::vector<Sector> sectors_;
    std::vector<InFlight> in_flight_;
    std::deque<Done> done_;
    std::chrono::nanoseconds now_{};
    std::optional<std::chrono::nanoseconds> lost_since_;
    std::uint64_t events_ = 1;
    bool saw_foreign_data_ = false;
    bool owes_error_ = false;  ///< of a lost write, to the next that makes data stable
    bool guarded_;
    vmm::FlushGuard<vmm::DiskCompletion> guard_;
};

}  // namespace exo::sim
