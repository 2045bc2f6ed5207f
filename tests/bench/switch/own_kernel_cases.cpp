// The same code as the kernel compiles it: general registers only.
#include "tests/bench/switch/own_cases.h"

namespace exo::bench {
namespace {

struct KernelFlags;
EXO_BENCH_CASES constexpr auto windowed =
    switch_cases<guest::WindowedContext, KernelFlags>("windowed, kernel flags", Side::own);

}  // namespace
}  // namespace exo::bench
