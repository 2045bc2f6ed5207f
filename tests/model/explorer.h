// Runs a scenario under all schedules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "execution.h"

namespace exo::model {

struct Failure {
    std::string what;
    std::string schedule;  ///< for replay(): the choices, "1" a step of thread 1, "1f" its oldest store
                           ///< becoming visible
    std::string trace;     ///< every step of the failing run
};

struct Result {
    std::size_t states = 0;  ///< different states in which there was something to choose
    std::size_t runs = 0;
    bool complete = false;  ///< all interleavings were covered
    std::optional<Failure> failure;
};

/// More than any scenario of the tests has; fewer where the build is not optimised or has a sanitizer, which
/// looks at the code that runs and not for interleavings.
inline constexpr std::size_t most_states = EXO_MODEL_MOST_STATES;
inline constexpr bool explores_everything = most_states >= 4'000'000;

/// Explores until the first failure, or until all interleavings are covered. A failure is a check that does
/// not hold, a data race, or a state in which somebody waits and nobody can go on (a lost wake-up, a ring
/// stuck).
Result explore(const Scenario& scenario);

/// One run under a schedule that a failure printed; beyond its end the first choice is taken.
Failure replay(const Scenario& scenario, const std::string& schedule);

// For the bodies of threads:

/// Ends the run with a failure unless `holds`.
void check(bool holds, const char* what);

/// Repeats an attempt that changes nothing when it fails, without trying again before another thread has
/// changed something.
template <class Attempt>
void retry(Attempt attempt) {
    for (;;) {
        Execution::current()->begin_attempt();
        if (attempt()) return;
        Execution::current()->wait_for_change();
    }
}

inline void sleep_on(bool& event) {
    Execution::current()->wait_for_event(event);
}
inline void notify(bool& event) {
    Execution::current()->notify_event(event);
}

}  // namespace exo::model
