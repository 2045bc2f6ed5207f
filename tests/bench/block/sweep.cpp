#include "tests/bench/block/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/bench/block/comparison.h"

namespace exo::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::array<double, 5> rates = {100, 1'000, 10'000, 100'000, 1'000'000};
constexpr unsigned rounds = 2;
/// A controller gets so long to know the load. What it takes it is another question: changing_load.h.
constexpr std::uint64_t settling_ns = guest::ns_per_s;

/// Rates far above what the depth allows are all the same.
bool is_within_reach(double rate, std::chrono::nanoseconds delay) {
    const double most = BlockLoad::most_depth * 1e9 / std::max(static_cast<double>(delay.count()), 1.0);
    return rate < 4 * most;
}

class Sweep {
  public:
    Sweep(const SweepOptions& options, Reporter& lines) : options_(options), lines_(lines) {}

    std::expected<bool, std::string> run() {
        bool any = false;
        for (const DiskKind& disk : disks()) {
            if (disk.name.find(options_.case_filter) == std::string::npos) continue;
            any = true;
            if (const auto done = run_disk(disk); !done) return std::unexpected(done.error());
        }
        return any;
    }

  private:
    using Done = std::expected<void, std::string>;

    std::vector<DiskKind> disks() const {
        if (options_.quick) return {{"memory-0us", 0us}, {"memory-50us", 50us}};
        return {{"memory-0us", 0us},         {"memory-5us", 5us},     {"memory-10us", 10us},
                {"memory-50us", 50us},       {"memory-100us", 100us}, {"memory-1ms", 1ms},
                {"file-io_uring", 0us, true}};
    }

    Done run_disk(const DiskKind& disk) {
        auto contestants = make_contestants(disk, options_.device_cpu, time_);
        if (!contestants) return std::unexpected(contestants.error().message());
        print_heading(disk.name);
        for (const double rate : rates) {
            if (!is_within_reach(rate, disk.delay)) continue;
            if (options_.quick && rate != 1'000 && rate != 100'000) continue;
            const LoadShape shape = shape_for(rate, disk.delay);
            const std::string name = fmt::format("{}/{:.0f}", disk.name, rate);
            if (const auto done = run_point(name, shape, *contestants); !done) return done;
            print_row(shape, *contestants);
            if (options_.explain) print_controllers(*contestants);
            report_point(lines_, name, *contestants);
        }
        return {};
    }

    Done run_point(const std::string& name, const LoadShape& shape, Contestants& contestants) {
        const std::uint64_t round_ns = (shape.rate < 1'000 ? 350 : 150) * guest::ns_per_ms;
        for (Contestant& who : contestants) {
            who.rounds.clear();
            who.load->run(shape, who.way->is_static() ? round_ns / 4 : settling_ns);
        }
        std::vector<std::size_t> order(contestants.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        for (unsigned round = 0; round < rounds; ++round) {
            std::ranges::shuffle(order, random_);
            for (const std::size_t at : order) {
                Contestant& who = contestants[at];
                who.rounds.push_back(who.load->run(shape, round_ns));
                if (!who.rounds.back().ok)
                    return std::unexpected(fmt::format("{}: {} had failed requests", name, who.way->name));
            }
        }
        return {};
    }

    const SweepOptions& options_;
    Reporter& lines_;
    HostedTime time_;
    std::mt19937 random_;
};

}  // namespace

std::expected<bool, std::string> run_sweep(const SweepOptions& options, Reporter& lines) {
    return Sweep(options, lines).run();
}

}  // namespace exo::bench
