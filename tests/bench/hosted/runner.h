// Runs cases: all variants of a case in turn, round after round, so that whatever disturbs one disturbs all.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/frame/case.h"
#include "tests/bench/frame/distribution.h"

namespace exo::bench {

struct Selection {
    std::vector<std::string> suites;  ///< all if empty
    std::string case_filter;          ///< part of a case's name
    int rounds = 101;
};

struct VariantResult {
    const Case* variant;
    Distribution distribution;
    std::optional<std::uint64_t> least_hit_rate;  ///< of all rounds, in hundredths of a percent
};

/// A case with its variants, and the bare round trip of a line just before and after it.
struct CaseResult {
    std::vector<VariantResult> variants;
    MilliTicks round_trip_before = 0;  ///< 0 where there is one CPU only
    MilliTicks round_trip_after = 0;

    /// The machine under us moved the CPUs, or somebody else took one: the figures are of two different
    /// machines.
    bool placement_moved() const;
    const VariantResult* best_peer() const;
};

struct Platform {
    std::string name;
    std::uint64_t core_cycles_per_1000_ticks = 0;
    double load_average = 0;  ///< before the first case
};

/// Hears of the results as they come.
class Reporter {
  public:
    virtual ~Reporter() = default;
    virtual void begin(const Platform& platform) = 0;
    virtual void add(const CaseResult& result) = 0;
};

/// Whether the selection has a case to run here.
bool has_cases(const Selection& selection);

/// Progress goes to standard error. The error says which variant's data was wrong, or that nothing is left to
/// run.
std::expected<void, std::string> run_cases(const Selection& selection, Reporter& reporter);

}  // namespace exo::bench
