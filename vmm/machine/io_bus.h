#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/io_handler.h"
#include "vmm/machine/address_range.h"
#include "vmm/machine/io_observer.h"

namespace exo::vmm {

/// One address space of the guest, ports or memory, and who answers where. Any vCPU thread may access it
/// while another moves a range.
///
/// A shared lock guards the table only for the look-up and is let go before the handler runs, because a
/// handler may move ranges itself (a write to a BAR). It costs two uncontended atomic operations beside an
/// exit of a thousand cycles and more, and, unlike published snapshots, leaves nothing to reclaim. So an
/// access that races with the move of its range may still reach the handler at the old place; handlers must
/// outlive the bus.
///
/// Where ranges overlap, the one added first answers. An access that no single range covers is split into
/// bytes, as the ISA bus does. Bytes that nobody claims read as ones.
class IoBus {
  public:
    enum class RangeId : std::size_t {};

    /// Accesses of a range since the start; a split access counts once for each byte.
    struct Count {
        std::string name;
        std::uint64_t reads;
        std::uint64_t writes;
    };

    /// Makes a range known, `size` addresses long, without a place yet.
    RangeId add(std::string name, std::uint64_t size, IoHandler& handler);
    RangeId add_at(std::string name, AddressRange range, IoHandler& handler);

    /// Puts the range at `start`, away from where it was. A range that would wrap around is nowhere.
    void place(RangeId id, std::uint64_t start);
    /// Takes the range off the bus; its counts stay, and it may be placed again.
    void withdraw(RangeId id);

    /// Looks at this range before all others, without the lock, and leaves it out of what the observer sees:
    /// for the PM timer, whose reads are most of a boot and depend on time alone. Set before the vCPUs run.
    void put_first(RangeId id);

    /// Null for none. Set before the vCPUs run; must outlive the bus.
    void set_observer(IoObserver* observer) { observer_ = observer; }

    void read(std::uint64_t address, std::span<std::byte> data);
    void write(std::uint64_t address, std::span<const std::byte> data);

    /// Counts per range in the order of `add`, the last one (named "unclaimed") for accesses nobody answered.
    std::vector<Count> counts() const;

  private:
    struct Range {
        Range(std::string n, std::uint64_t s, IoHandler& h) : name(std::move(n)), size(s), handler(&h) {}
        std::string name;
        std::uint64_t size;
        IoHandler* handler;
        std::optional<std::uint64_t> start;
        std::atomic<std::uint64_t> reads = 0;
        std::atomic<std::uint64_t> writes = 0;
    };
    /// A stretch in which one range answers; sorted, disjoint.
    struct Segment {
        AddressRange where;
        Range* range;
    };
    struct Target {
        Range* range = nullptr;
        std::uint64_t offset = 0;
        bool split = false;
    };

    Range& range_of(RangeId id) { return ranges_[static_cast<std::size_t>(id)]; }
    void rebuild();
    Target find(std::uint64_t address, std::size_t size) const;
    std::optional<std::uint64_t> offset_in_first(std::uint64_t address, std::size_t size) const;
    void dispatch_read(std::uint64_t address, std::span<std::byte> data);
    void dispatch_write(std::uint64_t address, std::span<const std::byte> data);

    static constexpr std::uint64_t nowhere = UINT64_MAX;

    mutable std::shared_mutex mutex_;
    std::deque<Range> ranges_;
    std::vector<Segment> segments_;
    Range* first_ = nullptr;
    std::atomic<std::uint64_t> first_start_ = nowhere;
    std::atomic<std::uint64_t> unclaimed_reads_ = 0;
    std::atomic<std::uint64_t> unclaimed_writes_ = 0;
    IoObserver* observer_ = nullptr;
};

}  // namespace exo::vmm
