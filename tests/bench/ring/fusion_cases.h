// The ring's own variants, for code generated with certain flags. Needs nothing of an operating system.
#pragma once

#include "tests/bench/frame/case.h"
#include "tests/bench/ring/backing_off.h"
#include "tests/bench/ring/fusion_queue.h"
#include "tests/bench/ring/patterns.h"

namespace exo::bench {

template <class Flags>
struct FusionRuns {
    template <class Message>
    using Spsc = FusionQueue<fusion::Ring, Message, Flags>;
    template <class Message>
    using Mpmc = FusionQueue<fusion::ManyToManyRing, Message, Flags>;
    using Packed = FusionPackedQueue<Flags>;
    template <class Message>
    using PolledSpsc = BackingOff<Spsc<Message>>;
    template <class Message>
    using PolledMpmc = BackingOff<Mpmc<Message>>;

    static constexpr auto same_thread_8 = run_on_one_cpu<SingleMessages, Spsc<Message8>, Message8>;
    static constexpr auto same_thread_56 = run_on_one_cpu<SingleMessages, Spsc<Message56>, Message56>;
    static constexpr auto two_cpus_8 = run_on_two_cpus<SingleMessages, PolledSpsc<Message8>, Message8>;
    static constexpr auto two_cpus_56 = run_on_two_cpus<SingleMessages, PolledSpsc<Message56>, Message56>;
    static constexpr auto batch_8 = run_on_two_cpus<Batches, PolledSpsc<Message8>, Message8>;
    static constexpr auto batch_56 = run_on_two_cpus<Batches, PolledSpsc<Message56>, Message56>;
    static constexpr auto same_thread_batch_56 = run_on_one_cpu<Batches, Spsc<Message56>, Message56>;
    static constexpr auto packed_8 = run_on_two_cpus<Batches, Packed, Message8>;
    static constexpr auto same_thread_packed_8 = run_on_one_cpu<Batches, Packed, Message8>;
    static constexpr auto many_56 = run_on_two_cpus<SingleMessages, PolledMpmc<Message56>, Message56>;
    static constexpr auto many_batch_56 = run_on_two_cpus<Batches, PolledMpmc<Message56>, Message56>;
    static constexpr auto ping_pong_8 = run_ping_pong<Spsc<Message8>, Message8>;
    static constexpr auto ping_pong_56 = run_ping_pong<Spsc<Message56>, Message56>;
};

inline constexpr const char* per_message = "TSC cycles a message";
inline constexpr const char* per_round_trip = "TSC cycles a round trip";

}  // namespace exo::bench
