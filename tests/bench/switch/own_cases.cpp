#include "tests/bench/switch/own_cases.h"

namespace exo::bench {
namespace {

struct HostedFlags;
EXO_BENCH_CASES constexpr auto windowed =
    switch_cases<guest::WindowedContext, HostedFlags>("windowed, 16 bytes", Side::own);
EXO_BENCH_CASES constexpr auto full =
    switch_cases<guest::FullContext, HostedFlags>("full, 64 bytes", Side::own);
EXO_BENCH_CASES constexpr auto classic =
    switch_cases<guest::ClassicContext, HostedFlags>("classic, 15 registers + flags", Side::peer);

}  // namespace
}  // namespace exo::bench
