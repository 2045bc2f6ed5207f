#include "guest/drivers/clock/calibration.h"

#include <algorithm>
#include <array>

#include "guest/drivers/time_source.h"

namespace exo::guest {
namespace {

constexpr std::uint64_t window_ns = 5 * ns_per_ms;
/// A reference that has not moved after so many reads stands still.
constexpr unsigned max_idle_reads = 100'000;

struct Sample {
    std::uint64_t reference;
    std::uint64_t timestamp;
    std::uint32_t other;
};

/// The counters at one moment. Of a few tries the one that took the shortest time is the sharpest.
Sample sample(ReferenceCounter& reference, const MeasuredCounters& counters) {
    Sample best{};
    std::uint64_t shortest = ~std::uint64_t{0};
    for (int i = 0; i < 4; ++i) {
        const std::uint64_t before = counters.timestamp();
        const std::uint64_t ticks = reference.read();
        const std::uint64_t after = counters.timestamp();
        const std::uint32_t other = counters.other();
        if (after - before >= shortest) continue;
        shortest = after - before;
        best = {.reference = ticks, .timestamp = before + (after - before) / 2, .other = other};
    }
    return best;
}

std::uint64_t elapsed(const ReferenceCounter& reference, std::uint64_t from, std::uint64_t to) {
    return (to + reference.modulus() - from) % reference.modulus();
}

std::uint64_t per_second(std::uint64_t ticks, std::uint64_t reference_ticks,
                         std::uint64_t reference_frequency) {
    return ticks * reference_frequency / reference_ticks;  // a window is far too short to overflow
}

std::optional<MeasuredFrequencies> measure_once(ReferenceCounter& reference,
                                                const MeasuredCounters& counters) {
    const std::uint64_t wanted = reference.frequency() * window_ns / ns_per_s;
    const Sample start = sample(reference, counters);
    std::uint64_t last = start.reference;
    for (unsigned idle = 0; elapsed(reference, start.reference, last) < wanted;) {
        const std::uint64_t now = reference.read();
        if (now == last && ++idle == max_idle_reads) return std::nullopt;
        if (now != last) idle = 0;
        last = now;
    }
    const Sample end = sample(reference, counters);
    const std::uint64_t span = elapsed(reference, start.reference, end.reference);
    if (span == 0) return std::nullopt;
    return MeasuredFrequencies{
        .timestamp = per_second(end.timestamp - start.timestamp, span, reference.frequency()),
        .other = per_second(std::uint32_t(end.other - start.other), span, reference.frequency())};
}

}  // namespace

std::optional<MeasuredFrequencies> measure_frequencies(ReferenceCounter& reference,
                                                       const MeasuredCounters& counters) {
    std::array<MeasuredFrequencies, 3> results;
    for (MeasuredFrequencies& result : results) {
        const auto measured = measure_once(reference, counters);
        if (!measured) return std::nullopt;
        result = *measured;
    }
    std::ranges::sort(results, {}, &MeasuredFrequencies::timestamp);
    return results[1];
}

std::uint64_t ticks_in(std::uint64_t ns, std::uint64_t frequency) {
    std::uint64_t ticks = 0;
    const bool overflows = __builtin_mul_overflow(ns / ns_per_s, frequency, &ticks) ||
                           __builtin_add_overflow(ticks, ns % ns_per_s * frequency / ns_per_s, &ticks);
    return overflows ? ~std::uint64_t{0} : ticks;
}

}  // namespace exo::guest
