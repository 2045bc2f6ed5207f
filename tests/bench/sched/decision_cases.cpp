// What a scheduling decision costs: the thread whose turn it is is taken out of the run queue, and one comes
// in.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <set>

#include "guest/sched/policy/predictive_queue.h"
#include "guest/sched/policy/round_robin_queue.h"
#include "tests/bench/frame/case.h"
#include "tests/sim/random.h"

namespace exo::bench {
namespace {

using guest::Nanoseconds;
using guest::ScheduledThread;

constexpr std::uint64_t decisions = 20'000;

/// Hot threads with predictions between 30 µs and 10 ms.
template <std::size_t count>
struct Threads {
    Threads() {
        sim::Random random(1);
        for (ScheduledThread& thread : all) {
            thread.prediction = guest::Prediction(guest::microseconds(10'000) >> (random.next() % 8) |
                                                  random.next() % 30'000);
        }
    }
    std::array<ScheduledThread, count> all;
};

/// Of a peer: a thread with its key, as short as can be.
struct Entry {
    Nanoseconds turn;
    ScheduledThread* thread;
    bool operator<(const Entry& other) const { return turn < other.turn; }
};
Nanoseconds turn_of(const ScheduledThread& thread, Nanoseconds now) {
    return now + 2 * thread.prediction.burst();
}

template <class Queue>
struct PolicyPeer {
    void put(ScheduledThread& thread, Nanoseconds now) { queue.enqueue(thread, guest::Arrival::woken, now); }
    ScheduledThread& take(Nanoseconds now) { return *queue.pick_next(now); }
    Queue queue{0};
};

struct MultisetPeer {
    void put(ScheduledThread& thread, Nanoseconds now) { queue.insert({turn_of(thread, now), &thread}); }
    ScheduledThread& take(Nanoseconds) {
        ScheduledThread& thread = *queue.begin()->thread;
        queue.erase(queue.begin());
        return thread;
    }
    std::multiset<Entry> queue;
};

/// Kept in order, searched from the front.
struct SortedListPeer {
    void put(ScheduledThread& thread, Nanoseconds now) {
        const Entry entry{turn_of(thread, now), &thread};
        queue.insert(
            std::find_if(queue.begin(), queue.end(), [&](const Entry& other) { return entry < other; }),
            entry);
    }
    ScheduledThread& take(Nanoseconds) {
        ScheduledThread& thread = *queue.front().thread;
        queue.pop_front();
        return thread;
    }
    std::list<Entry> queue;
};

template <class Peer, std::size_t ready>
Run run_decisions(Stage& stage) {
    struct Work {
        Threads<ready> threads;
        Peer peer;
        std::uint64_t taken = 0;
    };
    const auto work = std::make_unique<Work>();
    for (ScheduledThread& thread : work->threads.all) work->peer.put(thread, 0);
    const std::uint64_t ticks = stage.run(
        [](void* context) {
            auto& its = *static_cast<Work*>(context);
            Nanoseconds now = 0;
            for (std::uint64_t i = 0; i < decisions; ++i) {
                now += 1'000;
                ScheduledThread& thread = its.peer.take(now);
                ++its.taken;
                its.peer.put(thread, now);
            }
        },
        work.get());
    return {ticks, decisions, work->taken == decisions};
}

constexpr const char* unit = "TSC cycles a pick and an enqueue";

EXO_BENCH_CASES const Case cases[] = {
    {"sched", "decision-4", "predictive", unit, run_decisions<PolicyPeer<guest::PredictiveQueue>, 4>,
     Side::own, 1},
    {"sched", "decision-4", "std::multiset", unit, run_decisions<MultisetPeer, 4>, Side::peer, 1},
    {"sched", "decision-4", "sorted list", unit, run_decisions<SortedListPeer, 4>, Side::peer, 1},
    {"sched", "decision-4", "round robin", unit, run_decisions<PolicyPeer<guest::RoundRobinQueue>, 4>,
     Side::bound, 1},
    {"sched", "decision-64", "predictive", unit, run_decisions<PolicyPeer<guest::PredictiveQueue>, 64>,
     Side::own, 1},
    {"sched", "decision-64", "std::multiset", unit, run_decisions<MultisetPeer, 64>, Side::peer, 1},
    {"sched", "decision-64", "sorted list", unit, run_decisions<SortedListPeer, 64>, Side::peer, 1},
    {"sched", "decision-64", "round robin", unit, run_decisions<PolicyPeer<guest::RoundRobinQueue>, 64>,
     Side::bound, 1},
};

}  // namespace
}  // namespace exo::bench
