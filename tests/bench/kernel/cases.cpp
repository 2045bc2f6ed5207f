#include <array>

#include "tests/bench/kernel/hosted_kernel.h"

namespace exo::bench {
namespace {

using guest::PolicyKind;

template <auto run_yields, PolicyKind policy>
Run yields(Stage&) {
    return run_yields(policy);
}
template <auto run, ChannelKind kind, unsigned cpus>
Run channel(Stage&) {
    return run(kind, cpus);
}

constexpr auto windowed = windowed_kernel::run_yields;
constexpr auto classic = classic_kernel::run_yields;
constexpr auto round_trips = windowed_kernel::run_round_trips;
constexpr auto stream = windowed_kernel::run_stream;

constexpr const char* a_yield = "TSC cycles a yield";
constexpr const char* a_trip = "ns a round trip";
constexpr const char* a_message = "ns a message";

template <auto run, unsigned cpus>
constexpr std::array<Case, 2> channel_cases(const char* name, const char* unit) {
    return {{{"ring", name, "channel by fusion ring", unit, channel<run, ChannelKind::fusion, cpus>,
              Side::own, cpus},
             {"ring", name, "channel by mutex and deque", unit, channel<run, ChannelKind::classic, cpus>,
              Side::peer, cpus}}};
}

EXO_BENCH_CASES const Case yield_cases[] = {
    {"switch", "whole yield", "predictive, windowed", a_yield, yields<windowed, PolicyKind::predictive>,
     Side::own, 1},
    {"switch", "whole yield", "round robin, windowed", a_yield, yields<windowed, PolicyKind::round_robin>,
     Side::own, 1},
    {"switch", "whole yield", "predictive, classic switch", a_yield, yields<classic, PolicyKind::predictive>,
     Side::bound, 1},
    {"switch", "whole yield", "round robin, classic switch", a_yield,
     yields<classic, PolicyKind::round_robin>, Side::peer, 1},
};
EXO_BENCH_CASES constexpr auto trips_on_one =
    channel_cases<round_trips, 1>("channel-one-cpu-ping-pong", a_trip);
EXO_BENCH_CASES constexpr auto stream_on_one = channel_cases<stream, 1>("channel-one-cpu-stream", a_message);
EXO_BENCH_CASES constexpr auto trips_on_two =
    channel_cases<round_trips, 2>("channel-two-cpus-ping-pong", a_trip);
EXO_BENCH_CASES constexpr auto stream_on_two = channel_cases<stream, 2>("channel-two-cpus-stream", a_message);

}  // namespace
}  // namespace exo::bench
