// The same code as the kernel compiles it: general registers only.
#include "tests/bench/ring/fusion_cases.h"

namespace exo::bench {
namespace {

struct KernelFlags;
using Runs = FusionRuns<KernelFlags>;
constexpr const char* variant = "fusion, kernel flags";

EXO_BENCH_CASES const Case cases[] = {
    {"ring", "same-thread-56", variant, per_message, Runs::same_thread_56, Side::own, 1},
    {"ring", "two-cpus-56", variant, per_message, Runs::two_cpus_56, Side::own, 2},
    {"ring", "batch32-56", variant, per_message, Runs::batch_56, Side::own, 2},
    {"ring", "batch32-8", "fusion packed, kernel flags", per_message, Runs::packed_8, Side::own, 2},
    {"ring", "ping-pong-56", variant, per_round_trip, Runs::ping_pong_56, Side::own, 2},
};

}  // namespace
}  // namespace exo::bench
