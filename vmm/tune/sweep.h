#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace exo::vmm::tune {

/// What a nanosecond of CPU time is worth in nanoseconds of latency.
inline constexpr std::array<double, 3> prices = {0.1, 1, 10};

/// A way to wait for the disk: a fixed mode, or the guest's controller with a price.
struct Way {
    std::string_view mode;                  ///< as `blk mode` takes it
    std::optional<std::size_t> price = {};  ///< of `prices`; none for a fixed mode

    friend bool operator==(const Way&, const Way&) = default;
};
inline constexpr std::array<Way, 4> fixed_ways = {{{"interrupt"}, {"polling"}, {"hybrid"}, {"batch"}}};
inline constexpr std::array<Way, 3> adaptive_ways = {{{"adaptive", 0}, {"adaptive", 1}, {"adaptive", 2}}};

/// "polling", "adaptive 0.1".
std::string name_of(const Way& way);

struct Load {
    std::uint64_t rate = 0;  ///< operations a second; 0: as many as it can
    unsigned depth = 1;      ///< requests under way in each job
    unsigned jobs = 1;       ///< threads

    friend bool operator==(const Load&, const Load&) = default;
};

/// The loads of a sweep; `quick`: two of them.
std::vector<Load> sweep_loads(bool quick);

/// What all operations of a sweep have in common.
struct Operations {
    std::string pattern = "randread";
    std::uint32_t block = 4096;
    bool writes() const { return pattern != "randread" && pattern != "read"; }
};

/// One load in one way, as a guest runs it.
struct Step {
    enum class Kind : std::uint8_t {
        baseline,  ///< next to nothing, for as long as a measurement: what the guest and its output take
                   ///< anyway
        warm_up,   ///< for what is learned or filled at first
        measured
    };
    Way way;
    Load load;
    Kind kind = Kind::measured;

    friend bool operator==(const Step&, const Step&) = default;
};

/// A guest's work: a baseline, then each way on each load, warmed up. `first` rotates the order of the ways,
/// so that over rounds none of them is always first.
std::vector<Step> steps_for(std::span<const Way> ways, std::span<const Load> loads, std::size_t first);

/// The guest's command for the steps, in words. Each step leaves a line of `blk bench --json`, each measured
/// one of a controller lines of `blk stats --json` after it.
std::vector<std::string> guest_command(std::span<const Step> steps, const Operations& operations);

}  // namespace exo::vmm::tune
