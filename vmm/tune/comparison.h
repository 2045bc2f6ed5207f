#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vmm/tune/step_recorder.h"

namespace exo::vmm::tune {

/// A way on a load, over all rounds.
struct Cell {
    Way way;
    Load load;
    std::vector<Measurement> rounds;

    /// The median of each figure.
    Measurement median() const;
};

/// What a machine had that is not the guest's choice.
struct Setting {
    std::optional<unsigned> poll_us = {};  ///< `poll=` of the disk; none: what suits the host
    unsigned queues = 1;
    unsigned cpus = 1;
};

/// All cells of one setting.
class Series {
  public:
    explicit Series(Setting setting) : setting_(setting) {}
    void add(std::span<const MeasuredStep> steps);

    const Setting& setting() const { return setting_; }
    const std::vector<Cell>& cells() const { return cells_; }
    /// In the order in which they were first measured.
    std::vector<Load> loads() const;
    /// Null when it was not measured.
    const Cell* find(const Way& way, const Load& load) const;
    /// Of a way at one of `prices` on each of the loads; the way was measured on them.
    std::vector<double> costs(const Way& way, std::span<const Load> loads, double price) const;

  private:
    Setting setting_;
    std::vector<Cell> cells_;
};

/// The fixed mode that costs least on a load, and what adaptive costs for each cost of it.
struct Winner {
    Way way;
    double adaptive_ratio = 1;
};
Winner winner_at(const Series& series, const Load& load, std::size_t price);

/// One of several, by what each costs on the same loads.
struct Choice {
    std::size_t index = 0;
    double mean_ratio = 1;   ///< its costs by the least there is on each load: geometric mean
    double worst_ratio = 1;  ///< and the largest
};
/// The one of least mean ratio. The usual one stays unless another's is more than 5 % smaller, which is more
/// than rounds differ by.
Choice choose(std::span<const std::vector<double>> costs, std::size_t usual);

/// Of all that was learned, each figure's median, without what was unknown.
Knowledge median_of(std::span<const Knowledge> all);

/// What a sweep has found for one price.
struct Recommendation {
    double price = 1;
    Way way;
    Choice mode;                           ///< among fixed modes and adaptive
    std::optional<unsigned> poll_us = {};  ///< none: leave `poll=` out
    std::optional<unsigned> queues = {};   ///< none: leave `queues=` out
};

struct Sweep {
    Series modes;                     ///< every way on every load
    std::vector<Series> poll_limits;  ///< adaptive with other limits of the device's polling
    std::vector<Series> queues;       ///< several vCPUs: with a queue each, then with one for all
    Knowledge knowledge;
};
Recommendation recommend(const Sweep& sweep, std::size_t price);

}  // namespace exo::vmm::tune
