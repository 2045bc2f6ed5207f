#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "tests/bench/block/block_load.h"
#include "tests/bench/block/block_machine.h"
#include "tests/bench/frame/case.h"

namespace exo::bench {

/// What a nanosecond of CPU time is worth in nanoseconds of latency.
inline constexpr std::array<double, 3> prices = {0.1, 1, 10};

/// One way to wait for a disk.
struct WayToWait {
    const char* name;
    Protocol protocol;
    WaitChoice choice;
    Side side;
    std::optional<std::size_t> price = {};  ///< of `prices`, which it was made for; none: all

    bool is_for(std::size_t which) const { return !price || *price == which; }
    /// A mode of our own driver that nobody adapts: what the controller has to keep up with.
    bool is_static() const { return protocol == Protocol::fusion && choice.fixed && !choice.moderated; }
};
const std::vector<WayToWait>& ways_to_wait();

/// One of them at work on a disk of its own.
struct Contestant {
    const WayToWait* way = nullptr;
    std::unique_ptr<BlockMachine> machine = {};
    std::unique_ptr<BlockLoad> load = {};
    std::vector<LoadResult> rounds = {};  ///< of the load at hand

    LoadResult all() const;
    /// The least of the rounds: what disturbs only ever adds.
    double cost(double price) const;
};

/// All of them on disks of one kind; the devices' threads run on `device_cpu`.
vmm::Result<std::vector<Contestant>> make_contestants(const DiskKind& disk, int device_cpu, HostedTime& time);

}  // namespace exo::bench
