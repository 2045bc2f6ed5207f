#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "shared/block/protocol.h"
#include "shared/fusion/ring.h"
#include "vmm/base/guest_memory.h"
#include "vmm/base/state_archive.h"
#include "vmm/devices/disk_counters.h"
#include "vmm/devices/fusion_blk_request.h"
#include "vmm/devices/interrupt_coalescing.h"
#include "vmm/devices/queue_device.h"
#include "vmm/devices/service_times.h"
#include "vmm/storage/disk.h"

namespace exo::vmm {

inline constexpr std::uint32_t fusion_blk_max_ring_capacity = 256;

/// What the queues of one device share. The device's lock covers it.
struct FusionBlkShared {
    const GuestMemory& memory;
    FusionBlkLimits limits;
    std::function<std::uint64_t()> tsc;
    std::size_t depth_limit;  ///< requests that the disk takes at once, from all queues together

    std::size_t in_flight = 0;
    std::chrono::nanoseconds now{};
    std::vector<DiskRequest> batch = {};  ///< picked up in this pass, for the disk
    ServiceTimes times = {};
    MovingDuration notification_cost = {};
    DiskCounters counters = {};
};

/// One queue pair at work: takes requests out of the submission ring, and puts their completions into the
/// completion ring. The guest may write anything into both at any time; all it can spoil is its own requests.
class FusionBlkQueue {
  public:
    struct Setup {
        std::uint32_t index;
        std::uint32_t capacity;
        GuestAddress submission_ring;
        GuestAddress completion_ring;
        bool has_interrupt;
    };

    /// Why not, as the register queue_state tells it.
    static std::expected<FusionBlkQueue, block::QueueState> attach(const GuestMemory& memory,
                                                                   const Setup& setup);

    /// Takes available requests, a bounded number of them, and returns how many; good ones go to
    /// `shared.batch`.
    std::size_t pick_up(FusionBlkShared& shared, Pass pass);
    /// The disk is done with one of them; the low half of the cookie says which.
    void complete(const DiskCompletion& completion, FusionBlkShared& shared);
    /// Gives the guest as many completions as its ring holds. True when an interrupt is due.
    bool publish(FusionBlkShared& shared);
    /// Ends the pass: before a rest, tells the guest that doorbells are needed from now on. False when there
    /// is more to do at once instead.
    bool settle(FusionBlkShared& shared, Pass pass);
    /// After settle(): true when an interrupt is due that was put off for a later position.
    bool coalesced_interrupt(FusionBlkShared& shared);
    /// When that is to be asked again at the latest; none while nothing is put off.
    std::optional<std::chrono::nanoseconds> deadline() const { return coalescing_.deadline(); }

    /// While nothing is in flight. `memory` has the rings that attach() found.
    void exchange_state(StateArchive& archive, const GuestMemory& memory);

    /// A slot had a sequence that the protocol never writes. No more requests are taken.
    bool broken() const { return broken_; }

  private:
    struct Entry {
        std::uint32_t tag = 0;
        bool traced = false;
        std::uint64_t pickup_tsc = 0;
        std::uint64_t submitted_tsc = 0;
        std::chrono::nanoseconds picked_up{};
        CheckedRequest request;
    };

    FusionBlkQueue(const fusion::Ring& submission, const fusion::Ring& completion, const Setup& setup);

    bool has_room(const FusionBlkShared& shared) const;
    void wake();
    bool take_next(FusionBlkShared& shared);
    void take(const fusion::Message& message, FusionBlkShared& shared);
    void refuse(std::uint32_t tag, block::Status status, FusionBlkShared& shared);
    void start(std::uint32_t index, FusionBlkShared& shared);
    bool start_barrier(FusionBlkShared& shared);
    void finish(const block::Completion& completion, block::Urgency urgency, FusionBlkShared& shared);
    bool interrupt_due(std::span<const block::Urgency> told, FusionBlkShared& shared);
    void publish_control(const FusionBlkShared& shared);

    Setup setup_;
    fusion::Ring submission_ring_;
    fusion::Consumer submissions_;
    fusion::Producer completions_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> idle_;  // entries not in use
    std::vector<block::Completion> finished_;
    std::vector<block::Urgency> urgencies_;  // of finished_
    InterruptCoalescing coalescing_;
    std::size_t in_flight_ = 0;
    bool barrier_waits_ = false;  // for the requests before it
    bool barrier_runs_ = false;
    std::uint32_t barrier_ = 0;
    bool asleep_ = false;          // the guest knows that a submission needs a doorbell
    bool waits_for_room_ = false;  // the guest knows that reaping needs a doorbell
    bool more_ = false;            // the pass ended before the submissions did
    bool broken_ = false;
};

}  // namespace exo::vmm
