#pragma once

#include <cstdint>
#include <utility>

#include "guest/ipc/channel.h"
#include "guest/sched/scheduler.h"

namespace exo::guest {

/// What messages between two threads cost.
struct ChannelTiming {
    std::uint64_t messages = 0;  ///< for round trips: pairs of messages
    std::uint64_t cycles = 0;    ///< ticks of the time-stamp counter, from the first message to the last
    std::uint64_t switches = 0;  ///< of all CPUs meanwhile, others' included
    std::uint64_t wake_ups = 0;
    bool verified = false;  ///< what arrived is what was sent
};

/// Counts from its making until finish().
class ChannelStopwatch {
  public:
    explicit ChannelStopwatch(Scheduler& scheduler)
        : scheduler_(scheduler), before_(counts()), start_(arch::timestamp()) {}

    ChannelTiming finish(std::uint64_t messages, bool verified) const {
        const std::uint64_t cycles = arch::timestamp() - start_;
        const Counts after = counts();
        return {messages, cycles, after.switches - before_.switches, after.wake_ups - before_.wake_ups,
                verified};
    }

  private:
    struct Counts {
        std::uint64_t switches = 0;
        std::uint64_t wake_ups = 0;
    };
    Counts counts() const {
        Counts sum;
        for (unsigned cpu = 0; cpu < scheduler_.cpu_count(); ++cpu) {
            const SchedulerCpuCounts counts = scheduler_.cpu_info(cpu).counts;
            sum.switches += counts.switches;
            sum.wake_ups += counts.wake_ups;
        }
        return sum;
    }

    Scheduler& scheduler_;
    const Counts before_;
    const std::uint64_t start_;
};

/// A thread sends a number, the other one sends its successor back.
template <template <class, class> class Core>
Result<ChannelTiming> time_round_trips(Scheduler& scheduler, std::uint64_t count) {
    using Pair = BasicChannel<Core<std::uint64_t, OneToOne>>;
    auto there = Pair::create(64);
    auto back = Pair::create(64);
    if (!there || !back) return out_of_memory("channel");
    auto echo = scheduler.spawn({.name = "echo"},
                                [from = std::move(there->receiver), to = std::move(back->sender)]() mutable {
                                    while (const auto value = from.receive())
                                        if (!to.send(*value + 1)) return;
                                });
    if (!echo) return std::unexpected(echo.error());
    bool verified = true;
    const ChannelStopwatch watch(scheduler);
    for (std::uint64_t i = 0; i < count && verified; ++i)
        verified = there->sender.send(i).has_value() && back->receiver.receive() == i + 1;
    const ChannelTiming timing = watch.finish(count, verified);
    there->sender.close();
    return timing;
}

/// A thread sends numbers as fast as it can, the other one adds them up.
template <template <class, class> class Core>
Result<ChannelTiming> time_stream(Scheduler& scheduler, std::uint64_t count) {
    auto channel = BasicChannel<Core<std::uint64_t, OneToOne>>::create(1024);
    if (!channel) return std::unexpected(channel.error());
    const ChannelStopwatch watch(scheduler);
    auto source = scheduler.spawn({.name = "source"}, [count, sender = std::move(channel->sender)]() mutable {
        for (std::uint64_t i = 0; i < count; ++i)
            if (!sender.send(i)) return;
    });
    if (!source) return std::unexpected(source.error());
    std::uint64_t sum = 0;
    std::uint64_t received = 0;
    for (; received < count; ++received) {
        const auto value = channel->receiver.receive();
        if (!value) break;
        sum += *value;
    }
    return watch.finish(count, received == count && sum == count * (count - 1) / 2);
}

}  // namespace exo::guest
