// What the simulated threads want.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "guest/sched/policy/prediction.h"
#include "tests/sim/random.h"

namespace exo::sim {

using guest::Nanoseconds;

/// How spans of time are drawn.
struct Distribution {
    enum class Kind : std::uint8_t {
        constant,
        exponential,
        around
    };  ///< around: uniform within half the mean

    Kind kind = Kind::constant;
    double mean = 0;  ///< in nanoseconds

    Nanoseconds draw(Random& random) const {
        switch (kind) {
            case Kind::exponential:
                return static_cast<Nanoseconds>(random.exponential(mean));
            case Kind::around:
                return static_cast<Nanoseconds>(mean * (0.5 + random.uniform()));
            case Kind::constant:
                break;
        }
        return static_cast<Nanoseconds>(mean);
    }
};

constexpr Distribution constant(Nanoseconds mean) {
    return {Distribution::Kind::constant, static_cast<double>(mean)};
}
constexpr Distribution exponential(Nanoseconds mean) {
    return {Distribution::Kind::exponential, static_cast<double>(mean)};
}
constexpr Distribution around(Nanoseconds mean) {
    return {Distribution::Kind::around, static_cast<double>(mean)};
}

/// Threads of one kind. A thread computes for `burst`, then waits for `pause`, and again; a hog computes for
/// ever. Every thread's own mean burst is the group's, times a factor between 1/spread and spread.
struct Group {
    std::string name;
    unsigned threads = 0;
    Distribution burst;
    Distribution pause;
    double spread = 1;
    bool hog = false;
    /// The pause begins when the last one ended, not when the burst did: requests arrive whether or not the
    /// last one has been answered, and queue up.
    bool open = false;
};

struct Workload {
    std::string name;
    unsigned cpus = 1;
    std::vector<Group> groups;

    bool has_hogs() const {
        for (const Group& group : groups)
            if (group.hog) return true;
        return false;
    }
};

/// What a machine makes a scheduler pay.
struct Costs {
    Nanoseconds context_switch = guest::microseconds(2);  ///< from one thread to another
    Nanoseconds migration = guest::microseconds(50);      ///< to fill the caches of another CPU
};

}  // namespace exo::sim
