// What is reported of a variant's runs. Integers only, so that the kernel, which has no floating point,
// computes the same.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace exo::bench {

/// Thousandths of a TSC tick an operation.
using MilliTicks = std::uint64_t;

struct Distribution {
    std::size_t n = 0;
    MilliTicks min = 0;
    MilliTicks q1 = 0;
    MilliTicks median = 0;
    MilliTicks q3 = 0;
    MilliTicks p99 = 0;
    MilliTicks max = 0;

    /// Sorts the samples, of which there is at least one. Quantiles by nearest rank.
    static Distribution of(std::span<MilliTicks> samples) {
        std::sort(samples.begin(), samples.end());
        const auto rank = [&](std::size_t percent) {
            const std::size_t nth = (samples.size() * percent + 99) / 100;
            return samples[nth == 0 ? 0 : nth - 1];
        };
        return {samples.size(), samples.front(), rank(25), rank(50), rank(75), rank(99), samples.back()};
    }
};

}  // namespace exo::bench
