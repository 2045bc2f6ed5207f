// The same code without frame pointers: then the compiler likes to keep in RBP, the one register that
// survives, what the next switch waits for.
#include "tests/bench/switch/own_cases.h"

namespace exo::bench {
namespace {

struct FramelessFlags;
EXO_BENCH_CASES constexpr auto windowed =
    switch_cases<guest::WindowedContext, FramelessFlags>("windowed, no frame pointer", Side::own);

}  // namespace
}  // namespace exo::bench
