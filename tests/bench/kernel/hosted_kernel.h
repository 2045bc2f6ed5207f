// The kernel's own scheduler and channels, run in this process by arch/hosted. Which form of context its
// threads are made of is chosen when the kernel is compiled, so there are two kernels here, each in a library
// of its own that shows nothing but this.
#pragma once

#include <cstdint>

#include "guest/sched/policy/policy.h"
#include "tests/bench/frame/case.h"

namespace exo::bench {

/// By fusion rings, or by mutex and deque.
enum class ChannelKind : std::uint8_t { fusion, classic };

namespace windowed_kernel {
Run run_yields(guest::PolicyKind policy);
Run run_round_trips(ChannelKind kind, unsigned cpus);
Run run_stream(ChannelKind kind, unsigned cpus);
}  // namespace windowed_kernel

namespace classic_kernel {
Run run_yields(guest::PolicyKind policy);
}  // namespace classic_kernel

}  // namespace exo::bench
