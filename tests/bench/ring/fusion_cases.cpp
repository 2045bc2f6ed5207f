#include "tests/bench/ring/fusion_cases.h"

namespace exo::bench {
namespace {

struct HostedFlags;
using Runs = FusionRuns<HostedFlags>;

EXO_BENCH_CASES const Case cases[] = {
    {"ring", "same-thread-8", "fusion", per_message, Runs::same_thread_8, Side::own, 1},
    {"ring", "same-thread-56", "fusion", per_message, Runs::same_thread_56, Side::own, 1},
    {"ring", "same-thread-batch32-56", "fusion", per_message, Runs::same_thread_batch_56, Side::own, 1},
    {"ring", "same-thread-batch32-8", "fusion packed", per_message, Runs::same_thread_packed_8, Side::own, 1},
    {"ring", "two-cpus-8", "fusion", per_message, Runs::two_cpus_8, Side::own, 2},
    {"ring", "two-cpus-56", "fusion", per_message, Runs::two_cpus_56, Side::own, 2},
    {"ring", "batch32-8", "fusion", per_message, Runs::batch_8, Side::own, 2},
    {"ring", "batch32-8", "fusion packed", per_message, Runs::packed_8, Side::own, 2},
    {"ring", "batch32-56", "fusion", per_message, Runs::batch_56, Side::own, 2},
    {"ring", "many-56", "fusion many-to-many", per_message, Runs::many_56, Side::own, 2},
    {"ring", "many-batch32-56", "fusion many-to-many", per_message, Runs::many_batch_56, Side::own, 2},
    {"ring", "ping-pong-8", "fusion", per_round_trip, Runs::ping_pong_8, Side::own, 2},
    {"ring", "ping-pong-56", "fusion", per_round_trip, Runs::ping_pong_56, Side::own, 2},
};

}  // namespace
}  // namespace exo::bench
