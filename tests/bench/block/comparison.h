// Tables and JSON lines of contestants beside each other.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/bench/block/contestant.h"
#include "tests/bench/hosted/runner.h"

namespace exo::bench {

using Contestants = std::vector<Contestant>;

/// The figures of one contestant; none when it does not take part.
using Values = std::function<std::vector<double>(std::size_t contestant)>;

/// One case, with a variant for each contestant that has values.
void report_case(Reporter& lines, const std::string& name, const char* unit, const Contestants& contestants,
                 const Values& values);

/// Cases of latency, CPU time and cost at each price, of the rounds that the contestants have run.
void report_point(Reporter& lines, const std::string& name, const Contestants& contestants);

/// The same as a row under a heading.
void print_heading(const std::string& disk);
/// What each controller has seen and chosen.
void print_controllers(const Contestants& contestants);
void print_row(const LoadShape& shape, const Contestants& contestants);

}  // namespace exo::bench
