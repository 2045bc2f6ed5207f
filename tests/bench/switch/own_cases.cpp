#include "tests/bench/switch/own_cases.h"
#include "tests/bench/switch/saved_bytes.h"

namespace exo::bench {
namespace {

struct HostedFlags;
EXO_BENCH_CASES constexpr auto windowed =
    switch_cases<guest::WindowedContext, HostedFlags>("windowed, 16 bytes", Side::own);
EXO_BENCH_CASES constexpr auto full =
    switch_cases<guest::FullContext, HostedFlags>("full, 64 bytes", Side::own);
EXO_BENCH_CASES constexpr auto classic =
    switch_cases<guest::ClassicContext, HostedFlags>("classic, 15 registers + flags", Side::peer);

constexpr const char* bytes = "bytes written a switch";
EXO_BENCH_CASES const Case saved[] = {
    {"switch", "saved context", "windowed, 16 bytes", bytes, SavedBytes<guest::WindowedContext>::run,
     Side::own, 1},
    {"switch", "saved context", "full, 64 bytes", bytes, SavedBytes<guest::FullContext>::run, Side::own, 1},
    {"switch", "saved context", "classic, 15 registers + flags", bytes,
     SavedBytes<guest::ClassicContext>::run, Side::peer, 1},
};

}  // namespace
}  // namespace exo::bench
