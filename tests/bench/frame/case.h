// A benchmark case, as it is registered beside the code it measures. Freestanding, as that code is: where it
// runs, a Stage tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace exo::bench {

/// What one timed run of a case gave.
struct Run {
    std::uint64_t ticks =
        0;  ///< TSC ticks from the moment all parties had started to the end of the last one
    std::uint64_t operations = 0;  ///< what the unit counts: messages, round trips …
    bool verified = false;         ///< the data that came out was the data that went in
    std::optional<std::uint64_t> hit_rate =
        {};  ///< of the cache that is measured, in hundredths of a percent
};

/// Where a case runs. Parties are functions that run at the same time, each on a CPU of its own.
class Stage {
  public:
    using Party = void (*)(void* context);

    /// Runs the party here. Returns the ticks it took.
    std::uint64_t run(Party party, void* context) { return run_together(party, nullptr, context); }
    /// Runs the first party here and the second one on the other CPU, if there is one.
    virtual std::uint64_t run_together(Party first, Party second, void* context) = 0;

  protected:
    ~Stage() = default;
};

/// Who a variant is: this project's, the classic baseline, a peer to be beaten, or a bound of the machine.
enum class Side : std::uint8_t { own, peer, bound };

/// One variant of one case. Variants of the same suite and case are run alternately, in one process.
struct alignas(64) Case {
    const char* suite;
    const char* name;
    const char* variant;
    const char* unit;  ///< of one operation, e.g. "TSC cycles a message"
    Run (*run)(Stage& stage);
    Side side;
    std::uint8_t cpus;  ///< that have to be there
};

}  // namespace exo::bench

/// Puts a table of cases where the runner finds it: `EXO_BENCH_CASES const Case cases[] = {…};`
#define EXO_BENCH_CASES [[gnu::section("exo_bench"), gnu::used, gnu::retain]]
