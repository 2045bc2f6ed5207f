#include "guest/ipc/channel_timing.h"
#include "tests/bench/kernel/hosted_kernel.h"
#include "tests/bench/kernel/run_kernel.h"

namespace exo::bench::windowed_kernel {
namespace {

using Time = guest::Result<guest::ChannelTiming>(guest::Scheduler& scheduler, std::uint64_t count);

/// The hosted kernel's time-stamp counter counts nanoseconds.
Run run(Time* time, unsigned cpus, std::uint64_t count) {
    Run run;
    run_kernel(cpus, guest::PolicyKind::predictive, [&](guest::Scheduler& scheduler) {
        if (const auto timing = time(scheduler, count))
            run = {.ticks = timing->cycles, .operations = timing->messages, .verified = timing->verified};
    });
    return run;
}

}  // namespace

[[gnu::visibility("default")]] Run run_round_trips(ChannelKind kind, unsigned cpus) {
    return run(kind == ChannelKind::fusion ? guest::time_round_trips<guest::FusionCore>
                                           : guest::time_round_trips<guest::ClassicCore>,
               cpus, 1'000);
}

[[gnu::visibility("default")]] Run run_stream(ChannelKind kind, unsigned cpus) {
    return run(kind == ChannelKind::fusion ? guest::time_stream<guest::FusionCore>
                                           : guest::time_stream<guest::ClassicCore>,
               cpus, 20'000);
}

}  // namespace exo::bench::windowed_kernel
