#pragma once

#include <cstdint>
#include <optional>

#include "guest/drivers/clock/reference_counter.h"
#include "guest/drivers/time_source.h"

namespace exo::guest {

/// How fast two fast counters run, measured over the same time. Either may count up or down.
struct MeasuredFrequencies {
    std::uint64_t timestamp = 0;  ///< ticks a second
    std::uint64_t other = 0;
};

/// Reads of the counters that are measured.
struct MeasuredCounters {
    std::uint64_t (*timestamp)();
    /// Counts up, 32 bits, wraps at most once in a measurement.
    std::uint32_t (*other)();
};

/// Measures in three short windows and takes the middle result, so that one that was disturbed (a host that
/// took the processor away) does not count. Nothing when the reference does not move.
std::optional<MeasuredFrequencies> measure_frequencies(ReferenceCounter& reference,
                                                       const MeasuredCounters& counters);

/// From ticks of a counter to nanoseconds, by a multiplication.
class TickScale {
  public:
    constexpr TickScale() = default;
    /// `frequency` is in ticks a second, at most 10^10.
    explicit constexpr TickScale(std::uint64_t frequency) : multiplier_((ns_per_s << shift) / frequency) {}
    std::uint64_t to_ns(std::uint64_t ticks) const {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint64_t>(Wide{ticks} * multiplier_ >> shift);
    }

  private:
    static constexpr unsigned shift = 32;  // the most that keeps 10^9 within 64 bits
    std::uint64_t multiplier_ = 0;
};

/// Ticks that `ns` nanoseconds last at a frequency (at most 10^10), saturated.
std::uint64_t ticks_in(std::uint64_t ns, std::uint64_t frequency);

}  // namespace exo::guest
