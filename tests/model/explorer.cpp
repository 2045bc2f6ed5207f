#include "explorer.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <unordered_set>

namespace exo::model {
namespace {

struct Decision {
    Choices choices;
    std::size_t taken = 0;
};

struct HashOfHash {
    std::size_t operator()(const std::array<std::uint64_t, 2>& hash) const { return hash[0]; }
};

std::string print(const std::vector<Decision>& path) {
    std::string text;
    for (const Decision& decision : path) {
        const Choice choice = decision.choices[decision.taken];
        text += (text.empty() ? "" : ",") + std::to_string(choice.thread) + (choice.flush ? "f" : "");
    }
    return text;
}

std::vector<Choice> parse(const std::string& schedule) {
    std::vector<Choice> choices;
    std::istringstream stream(schedule);
    for (std::string token; std::getline(stream, token, ',');)
        choices.push_back({static_cast<std::uint8_t>(token[0] - '0'), token.size() > 1 && token[1] == 'f'});
    return choices;
}

/// Depth-first search: each run repeats the path up to the last decision that has a choice left, and takes
/// that. A state seen before is not entered again; what a thread has seen so far is part of the state.
class Search {
  public:
    explicit Search(const Scenario& scenario) : scenario_(scenario) {}

    Result run() {
        do {
            ++result_.runs;
            if (run_once()) return result_;
        } while (next_path());
        result_.complete = result_.states < most_states;
        return result_;
    }

  private:
    /// True if the run failed.
    bool run_once() {
        Execution execution(fibers_, scenario_, false);
        std::size_t depth = 0;
        while (!execution.failure()) {
            const Choices choices = execution.choices();
            if (choices.empty()) break;
            if (choices.size() == 1) {
                execution.take(choices[0]);
                continue;
            }
            if (depth == path_.size() && !enter_state(execution, choices)) return false;
            execution.take(path_[depth].choices[path_[depth].taken]);
            ++depth;
        }
        if (!execution.failure() && !execution.all_finished())
            execution.fail("nobody can go on: " + execution.describe_blocked());
        if (!execution.failure()) execution.run_final_check();
        if (!execution.failure()) return false;
        path_.resize(depth);
        result_.failure = replay(scenario_, print(path_));
        return true;
    }

    bool enter_state(const Execution& execution, const Choices& choices) {
        if (visited_.size() >= most_states || !visited_.insert(execution.fingerprint()).second) return false;
        result_.states = visited_.size();
        path_.push_back({choices});
        return true;
    }

    bool next_path() {
        while (!path_.empty() && path_.back().taken + 1 == path_.back().choices.size()) path_.pop_back();
        if (path_.empty()) return false;
        ++path_.back().taken;
        return true;
    }

    const Scenario& scenario_;
    std::vector<Fiber> fibers_{max_threads};
    std::vector<Decision> path_;
    std::unordered_set<std::array<std::uint64_t, 2>, HashOfHash> visited_;
    Result result_;
};

}  // namespace

Result explore(const Scenario& scenario) {
    return Search(scenario).run();
}

Failure replay(const Scenario& scenario, const std::string& schedule) {
    std::vector<Fiber> fibers(max_threads);
    Execution execution(fibers, scenario, true);
    const std::vector<Choice> wanted = parse(schedule);
    std::size_t depth = 0;
    while (!execution.failure()) {
        const Choices choices = execution.choices();
        if (choices.empty()) break;
        Choice choice = choices[0];
        if (choices.size() > 1 && depth < wanted.size()) {
            choice = wanted[depth++];
            if (std::find(choices.begin(), choices.end(), choice) == choices.end())
                return {"the schedule does not fit the scenario", schedule, execution.trace()};
        }
        execution.take(choice);
    }
    if (!execution.failure() && !execution.all_finished())
        execution.fail("nobody can go on: " + execution.describe_blocked());
    if (!execution.failure()) execution.run_final_check();
    return {execution.failure().value_or(""), schedule, execution.trace()};
}

void check(bool holds, const char* what) {
    if (!holds) Execution::current()->stop(what);
}

}  // namespace exo::model
