#include "tests/bench/frame/line_round_trip.h"
#include "tests/bench/ring/backing_off.h"
#include "tests/bench/ring/flag_ring.h"
#include "tests/bench/ring/fusion_cases.h"
#include "tests/bench/ring/peer_queues.h"

namespace exo::bench {
namespace {

template <template <class> class Queue, class Message>
constexpr auto same_thread = run_on_one_cpu<SingleMessages, Queue<Message>, Message>;
template <template <class> class Queue, class Message>
constexpr auto two_cpus = run_on_two_cpus<SingleMessages, Queue<Message>, Message>;
template <template <class> class Queue, class Message>
constexpr auto batch = run_on_two_cpus<Batches, Queue<Message>, Message>;
template <template <class> class Queue, class Message>
constexpr auto same_thread_batch = run_on_one_cpu<Batches, Queue<Message>, Message>;
template <template <class> class Queue, class Message>
constexpr auto ping_pong = run_ping_pong<Queue<Message>, Message>;

/// How much of the own rings' speed is the manner of polling.
template <class Message>
using PolledFlagRing = BackingOff<FlagRing<Message>>;

#define ONE_TO_ONE(name, Queue)                                                                      \
    {"ring", "same-thread-8", name, per_message, same_thread<Queue, Message8>, Side::peer, 1},       \
        {"ring", "same-thread-56", name, per_message, same_thread<Queue, Message56>, Side::peer, 1}, \
        {"ring", "two-cpus-8", name, per_message, two_cpus<Queue, Message8>, Side::peer, 2},         \
        {"ring", "two-cpus-56", name, per_message, two_cpus<Queue, Message56>, Side::peer, 2},       \
        {"ring", "ping-pong-8", name, per_round_trip, ping_pong<Queue, Message8>, Side::peer, 2},    \
        {"ring", "ping-pong-56", name, per_round_trip, ping_pong<Queue, Message56>, Side::peer, 2}

#define BATCHES(name, Queue)                                                                                   \
    {"ring", "same-thread-batch32-8", name, per_message, same_thread_batch<Queue, Message8>, Side::peer, 1},   \
        {"ring", "same-thread-batch32-56", name, per_message, same_thread_batch<Queue, Message56>, Side::peer, \
         1},                                                                                                   \
        {"ring", "batch32-8", name, per_message, batch<Queue, Message8>, Side::peer, 2},                       \
        {"ring", "batch32-56", name, per_message, batch<Queue, Message56>, Side::peer, 2}

#define MANY(name, Queue) {"ring", "many-56", name, per_message, two_cpus<Queue, Message56>, Side::peer, 2}
#define MANY_BATCHES(name, Queue) \
    {"ring", "many-batch32-56", name, per_message, batch<Queue, Message56>, Side::peer, 2}

EXO_BENCH_CASES const Case cases[] = {
    ONE_TO_ONE("boost spsc_queue", BoostSpsc),
    ONE_TO_ONE("moodycamel ReaderWriterQueue", ReaderWriterQueue),
    ONE_TO_ONE("rte_ring SP/SC", DpdkSpSc),
    ONE_TO_ONE("flag ring", FlagRing),
    ONE_TO_ONE("mutex + deque", MutexDeque),
    BATCHES("boost spsc_queue", BoostSpsc),
    BATCHES("rte_ring SP/SC", DpdkSpSc),
    BATCHES("moodycamel ConcurrentQueue", ConcurrentQueue),
    BATCHES("mutex + deque", MutexDeque),
    MANY("boost queue", BoostQueue),
    MANY("moodycamel ConcurrentQueue", ConcurrentQueue),
    MANY("rte_ring MP/MC", DpdkMpMc),
    MANY("tbb bounded_queue", TbbQueue),
    MANY("mutex + deque", MutexDeque),
    MANY_BATCHES("moodycamel ConcurrentQueue", ConcurrentQueue),
    MANY_BATCHES("rte_ring MP/MC", DpdkMpMc),
    MANY_BATCHES("mutex + deque", MutexDeque),
    {"ring", "two-cpus-8", "flag ring, backing off", per_message, two_cpus<PolledFlagRing, Message8>,
     Side::peer, 2},
    {"ring", "two-cpus-56", "flag ring, backing off", per_message, two_cpus<PolledFlagRing, Message56>,
     Side::peer, 2},
    {"ring", "ping-pong-8", "bare line", per_round_trip, run_line_round_trip, Side::bound, 2},
    {"ring", "ping-pong-56", "bare line", per_round_trip, run_line_round_trip, Side::bound, 2},
};

}  // namespace
}  // namespace exo::bench
