#include "tests/bench/block/contestant.h"

#include <algorithm>

namespace exo::bench {

using guest::IoMode;

const std::vector<WayToWait>& ways_to_wait() {
    using enum Protocol;
    static const std::vector<WayToWait> all = {
        {"interrupt", fusion, {.fixed = IoMode::interrupt}, Side::peer},
        {"polling", fusion, {.fixed = IoMode::polling}, Side::peer},
        {"hybrid", fusion, {.fixed = IoMode::hybrid}, Side::peer},
        {"batch", fusion, {.fixed = IoMode::batch}, Side::peer},
        {"dim", fusion, {.fixed = IoMode::batch, .moderated = true}, Side::peer},
        {"virtio-intr", virtio, {.fixed = IoMode::interrupt}, Side::peer},
        {"virtio-poll", virtio, {.fixed = IoMode::polling}, Side::peer},
        {"adaptive 0.1", fusion, {.price = {100}}, Side::own, 0},
        {"adaptive 1", fusion, {.price = {1'000}}, Side::own, 1},
        {"adaptive 10", fusion, {.price = {10'000}}, Side::own, 2},
    };
    return all;
}

LoadResult Contestant::all() const {
    LoadResult sum;
    for (const LoadResult& round : rounds) sum.add(round);
    return sum;
}

double Contestant::cost(double price) const {
    double least = rounds.front().cost(price);
    for (const LoadResult& round : rounds) least = std::min(least, round.cost(price));
    return least;
}

vmm::Result<std::vector<Contestant>> make_contestants(const DiskKind& disk, int device_cpu,
                                                      HostedTime& time) {
    std::vector<Contestant> all;
    for (const WayToWait& way : ways_to_wait()) {
        auto machine =
            BlockMachine::create({.protocol = way.protocol, .disk = disk, .device_cpu = device_cpu}, time);
        if (!machine) return std::unexpected(machine.error());
        auto load = std::make_unique<BlockLoad>(**machine, way.choice);
        all.push_back({&way, std::move(*machine), std::move(load)});
    }
    return all;
}

}  // namespace exo::bench
