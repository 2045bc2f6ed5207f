#include "vmm/tune/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace exo::vmm::tune {
namespace {

using Json = nlohmann::ordered_json;

constexpr int format_version = 1;

std::vector<Way> all_ways() {
    std::vector<Way> ways(fixed_ways.begin(), fixed_ways.end());
    ways.insert(ways.end(), adaptive_ways.begin(), adaptive_ways.end());
    return ways;
}

std::string load_text(const Load& load) {
    const std::string rate = load.rate == 0 ? "no limit" : fmt::to_string(load.rate);
    return fmt::format("{:>9} at {:<3}", rate, load.depth);
}

std::string microseconds(double ns) {
    const double us = ns / 1000;
    return us < 100 ? fmt::format("{:.1f}", us) : fmt::format("{:.0f}", us);
}

/// Before each table, where it matters.
std::string label(const Circumstances& circumstances) {
    return circumstances.not_this_hardware.empty() ? "" : "[not of this hardware] ";
}

std::string figures_table(const Circumstances& circumstances, const Sweep& sweep) {
    std::string text = fmt::format(
        "\n{}p50 latency / host CPU an operation, in µs; loads in operations a second at a depth\n{:16}",
        label(circumstances), "");
    const std::vector<Way> ways = all_ways();
    for (const Way& way : ways) text += fmt::format("{:>15}", name_of(way));
    text += '\n';
    for (const Load& load : sweep.modes.loads()) {
        text += fmt::format("{:16}", load_text(load));
        for (const Way& way : ways) {
            const Cell* const cell = sweep.modes.find(way, load);
            if (cell == nullptr) continue;
            const Measurement figures = cell->median();
            text += fmt::format("{:>15}", fmt::format("{} / {}", microseconds(figures.p50_ns),
                                                      microseconds(figures.host_cpu_ns)));
        }
        text += '\n';
    }
    return text;
}

std::string winners_table(const Circumstances& circumstances, const Sweep& sweep) {
    std::string text =
        fmt::format("\n{}The cheapest fixed mode, by p50 + price x CPU, and adaptive's cost by its\n{:16}",
                    label(circumstances), "");
    for (const double price : prices) text += fmt::format("{:>20}", fmt::format("price {}", price));
    text += '\n';
    for (const Load& load : sweep.modes.loads()) {
        text += fmt::format("{:16}", load_text(load));
        for (std::size_t price = 0; price < prices.size(); ++price) {
            const Winner winner = winner_at(sweep.modes, load, price);
            text += fmt::format("{:>20}", fmt::format("{}  {:.2f}", winner.way.mode, winner.adaptive_ratio));
        }
        text += '\n';
    }
    return text;
}

std::string known(std::uint64_t ns) {
    return ns == 0 ? "unknown" : microseconds(static_cast<double>(ns)) + " µs";
}

std::string knowledge_text(const Circumstances& circumstances, const Knowledge& knowledge) {
    return fmt::format(
        "\n{}Learned by the guest's controllers\n"
        "  D  service time of the disk: {}\n"
        "  W  wake cost: the waiter goes on {} after the disk's end by interrupt, {} when it polls;\n"
        "     an operation takes {} of the guest's CPU by interrupt, {} by polling, the spinning not "
        "counted\n",
        label(circumstances), known(knowledge.service_ns), known(knowledge.interrupt_overhead_ns),
        known(knowledge.polling_overhead_ns), known(knowledge.interrupt_cpu_ns),
        known(knowledge.polling_cpu_ns));
}

std::string disk_words(const Recommendation& found) {
    std::string words;
    if (found.poll_us) words += fmt::format(",poll={}", *found.poll_us);
    if (found.queues) words += fmt::format(",queues={}", *found.queues);
    return words.empty() ? "no option: poll and queues as they are by default"
                         : fmt::format("--disk FILE{}", words);
}

std::string mode_words(const Recommendation& found) {
    if (!found.way.price) return fmt::format("blk mode disk0 {}", found.way.mode);
    return found.price == 1 ? "adaptive, as it is by default"
                            : fmt::format("blk mode disk0 adaptive --price {:.0f}", found.price * 1000);
}

std::string recommendation_text(const Circumstances& circumstances, const Recommendation& found) {
    constexpr double same = 1.005;
    std::string why =
        found.mode.mean_ratio < same
            ? "costs least on the whole"
            : fmt::format("costs {:.2f} times the least there is on the whole", found.mode.mean_ratio);
    if (found.mode.worst_ratio >= same) why += fmt::format(", {:.2f} at worst", found.mode.worst_ratio);
    return fmt::format("  price {:<5} {}: {}\n              {}{}\n", found.price, mode_words(found), why,
                       disk_words(found),
                       circumstances.not_this_hardware.empty() ? "" : " (not of this hardware)");
}

Json to_json(const Measurement& figures) {
    return {{"p50_ns", figures.p50_ns},
            {"p99_ns", figures.p99_ns},
            {"guest_cpu_ns", figures.guest_cpu_ns},
            {"host_cpu_ns", figures.host_cpu_ns},
            {"rate", figures.rate}};
}

void add_cells(Json& cells, std::string_view compared, const Series& series) {
    for (const Cell& cell : series.cells()) {
        Json json = {{"compared", compared},
                     {"mode", cell.way.mode},
                     {"price", cell.way.price ? Json(prices[*cell.way.price]) : Json()},
                     {"asked_rate", cell.load.rate},
                     {"depth", cell.load.depth},
                     {"jobs", cell.load.jobs},
                     {"cpus", series.setting().cpus},
                     {"queues", series.setting().queues},
                     {"poll_us", series.setting().poll_us ? Json(*series.setting().poll_us) : Json()},
                     {"median", to_json(cell.median())},
                     {"rounds", Json::array()}};
        for (const Measurement& round : cell.rounds) json["rounds"].push_back(to_json(round));
        cells.push_back(std::move(json));
    }
}

Json to_json(const Recommendation& found) {
    return {{"price", found.price},
            {"mode", found.way.mode},
            {"mean_ratio", found.mode.mean_ratio},
            {"worst_ratio", found.mode.worst_ratio},
            {"poll_us", found.poll_us ? Json(*found.poll_us) : Json()},
            {"queues", found.queues ? Json(*found.queues) : Json()}};
}

}  // namespace

std::string report_text(const Circumstances& circumstances, const Sweep& sweep) {
    std::string text =
        fmt::format("{}: {} of {} bytes on {}; {} host CPUs ({}); medians of {} round{}\n",
                    circumstances.version, circumstances.operations.pattern, circumstances.operations.block,
                    circumstances.disk, circumstances.host_cpus, circumstances.processor,
                    circumstances.rounds, circumstances.rounds == 1 ? "" : "s");
    if (!circumstances.not_this_hardware.empty())
        text += fmt::format("No figure below is of this hardware: {}.\n", circumstances.not_this_hardware);
    text += figures_table(circumstances, sweep);
    text += winners_table(circumstances, sweep);
    text += knowledge_text(circumstances, sweep.knowledge);
    text += "\nRecommended, by what a nanosecond of CPU is worth in nanoseconds of latency\n";
    for (std::size_t price = 0; price < prices.size(); ++price)
        text += recommendation_text(circumstances, recommend(sweep, price));
    if (sweep.queues.empty())
        text += "  Queues were not compared: that takes a host with two CPUs or more.\n";
    return text;
}

std::string report_json(const Circumstances& circumstances, const Sweep& sweep) {
    Json cells = Json::array();
    add_cells(cells, "modes", sweep.modes);
    for (const Series& one : sweep.poll_limits) add_cells(cells, "poll", one);
    for (const Series& one : sweep.queues) add_cells(cells, "queues", one);
    Json recommendations = Json::array();
    for (std::size_t price = 0; price < prices.size(); ++price)
        recommendations.push_back(to_json(recommend(sweep, price)));
    const Json json = {{"format", format_version},
                       {"version", circumstances.version},
                       {"of_this_hardware", circumstances.not_this_hardware.empty()},
                       {"why_not", circumstances.not_this_hardware},
                       {"processor", circumstances.processor},
                       {"host_cpus", circumstances.host_cpus},
                       {"disk", circumstances.disk},
                       {"pattern", circumstances.operations.pattern},
                       {"block", circumstances.operations.block},
                       {"learned",
                        {{"service_ns", sweep.knowledge.service_ns},
                         {"interrupt_overhead_ns", sweep.knowledge.interrupt_overhead_ns},
                         {"polling_overhead_ns", sweep.knowledge.polling_overhead_ns},
                         {"interrupt_cpu_ns", sweep.knowledge.interrupt_cpu_ns},
                         {"polling_cpu_ns", sweep.knowledge.polling_cpu_ns}}},
                       {"recommended", recommendations},
                       {"cells", cells}};
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace exo::vmm::tune
