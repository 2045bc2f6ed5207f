#include "vmm/tune/sweep.h"

#include <fmt/format.h>

#include <algorithm>

namespace exo::vmm::tune {
namespace {

/// A quarter of a second of a load with a rate; of the others, enough for the controller to have tried all.
std::uint64_t warm_up_count(const Load& load) {
    constexpr std::uint64_t without_rate = 2'000;
    return load.rate == 0 ? without_rate : std::clamp<std::uint64_t>(load.rate / 4, 16, without_rate);
}

void add_words(std::vector<std::string>& words, std::initializer_list<std::string_view> more) {
    words.insert(words.end(), more.begin(), more.end());
}

void add_mode(std::vector<std::string>& words, const Way& way) {
    add_words(words, {"blk", "mode", "disk0", way.mode});
    if (way.price) add_words(words, {"--price", fmt::format("{:.0f}", prices[*way.price] * 1000)});
    add_words(words, {";"});
}

void add_bench(std::vector<std::string>& words, const Step& step, const Operations& operations) {
    add_words(words, {"blk", "bench", "disk0", "--json", "--rw", operations.pattern, "--bs",
                      fmt::to_string(operations.block), "--depth", fmt::to_string(step.load.depth), "--jobs",
                      fmt::to_string(step.load.jobs)});
    if (operations.writes()) add_words(words, {"--destroy-data"});
    if (step.load.rate != 0) add_words(words, {"--rate", fmt::to_string(step.load.rate)});
    switch (step.kind) {
        case Step::Kind::baseline:
            add_words(words, {"--count", "2"});  // at one a second
            break;
        case Step::Kind::warm_up:
            add_words(words, {"--count", fmt::to_string(warm_up_count(step.load)), "--time", "1"});
            break;
        case Step::Kind::measured:
            add_words(words, {"--time", "1"});
            break;
    }
    add_words(words, {";"});
}

}  // namespace

std::string name_of(const Way& way) {
    return way.price ? fmt::format("{} {}", way.mode, prices[*way.price]) : std::string(way.mode);
}

std::vector<Load> sweep_loads(bool quick) {
    if (quick) return {{.rate = 1'000}, {.rate = 0, .depth = 32}};
    return {{.rate = 100},
            {.rate = 1'000},
            {.rate = 10'000},
            {.rate = 0},
            {.rate = 100'000, .depth = 32},
            {.rate = 0, .depth = 32}};
}

std::vector<Step> steps_for(std::span<const Way> ways, std::span<const Load> loads, std::size_t first) {
    const Load nearly_none{.rate = 1};
    std::vector<Step> steps = {{fixed_ways[0], {.rate = 0}, Step::Kind::warm_up},
                               {fixed_ways[0], nearly_none, Step::Kind::baseline}};
    for (const Load& load : loads)
        for (std::size_t i = 0; i < ways.size(); ++i) {
            const Way& way = ways[(first + i) % ways.size()];
            steps.push_back({way, load, Step::Kind::warm_up});
            steps.push_back({way, load, Step::Kind::measured});
        }
    return steps;
}

std::vector<std::string> guest_command(std::span<const Step> steps, const Operations& operations) {
    std::vector<std::string> words;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (i == 0 || steps[i].way != steps[i - 1].way) add_mode(words, steps[i].way);
        add_bench(words, steps[i], operations);
        if (steps[i].kind == Step::Kind::measured && steps[i].way.price)
            add_words(words, {"blk", "stats", "disk0", "--json", ";"});
    }
    words.pop_back();  // the last separator
    return words;
}

}  // namespace exo::vmm::tune
