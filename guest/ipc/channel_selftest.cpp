#include <array>
#include <atomic>
#include <cstring>

#include "guest/drivers/time_source.h"
#include "guest/ipc/channel.h"
#include "guest/kernel/selftest.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

Scheduler& scheduler() {
    return Thread::current()->scheduler();
}
/// Long after anything that works: what waits longer is lost.
std::uint64_t patience() {
    return arch::now_ns() + 20 * ns_per_s;
}

template <class Body>
ThreadHandle spawn(TestReport& report, Body&& body) {
    auto thread = scheduler().spawn({.name = "channel"}, std::forward<Body>(body));
    return report.expect(thread.has_value(), "a thread could not be made") ? std::move(*thread)
                                                                           : ThreadHandle();
}

void stream_arrives_whole(TestReport& report) {
    constexpr std::uint64_t count = 1'000;
    for (const std::uint32_t capacity : {2U, 64U}) {
        auto channel = Channel<std::uint64_t>::create(capacity);
        if (!report.expect(channel.has_value(), "the channel could not be made")) return;
        const ThreadHandle source = spawn(report, [sender = std::move(channel->sender)]() mutable {
            for (std::uint64_t i = 0; i < count; ++i)
                if (!sender.send(i, patience())) return;
        });
        std::uint64_t next = 0;
        while (const auto value = channel->receiver.receive(patience()))
            if (!report.expect_equal(*value, next++, "message")) return;
        report.expect_equal(next, count, "messages that arrived before the end");
    }
}

void waits_end_at_their_deadline(TestReport& report) {
    auto channel = Channel<int>::create(2);
    if (!report.expect(channel.has_value(), "the channel could not be made")) return;
    const std::uint64_t deadline = arch::now_ns() + 2 * ns_per_ms;
    const auto nothing = channel->receiver.receive(deadline);
    report.expect(!nothing && nothing.error() == ChannelError::timed_out, "an empty channel gave a message");
    report.expect(arch::now_ns() >= deadline, "it gave up too early");
    while (channel->sender.try_send(1)) {
    }
    const auto refused = channel->sender.send(1, arch::now_ns() + ns_per_ms);
    report.expect(!refused && refused.error() == ChannelError::timed_out, "a full channel took a message");
    channel->sender.close();
    while (channel->receiver.receive()) {
    }
    const auto end = channel->receiver.receive();
    report.expect(!end && end.error() == ChannelError::closed, "a closed channel did not say so");
}

/// Threads in a ring, a channel of two places between each two; one wake-up lost stops them all.
void a_ring_of_threads_keeps_turning(TestReport& report) {
    constexpr unsigned stations = 6;
    constexpr unsigned turns = 500;
    std::array<ThreadHandle, stations> threads;
    auto first = Channel<std::uint32_t>::create(2);
    if (!report.expect(first.has_value(), "the channel could not be made")) return;
    Receiver<std::uint32_t> last = std::move(first->receiver);
    std::array<std::optional<Receiver<std::uint32_t>>, stations + 1> ends;
    ends[0].emplace(std::move(last));
    for (unsigned i = 0; i < stations; ++i) {
        auto next = Channel<std::uint32_t>::create(2);
        if (!report.expect(next.has_value(), "the channel could not be made")) return;
        ends[i + 1].emplace(std::move(next->receiver));
        threads[i] = spawn(report, [from = std::move(*ends[i]), to = std::move(next->sender)]() mutable {
            while (const auto token = from.receive(patience()))
                if (!to.send(*token + 1, patience())) return;
        });
    }
    for (unsigned i = 0; i < 3; ++i)
        report.expect(first->sender.send(0, patience()).has_value(), "it is stuck");
    for (unsigned i = 0; i < turns; ++i) {
        const auto token = ends[stations]->receive(patience());
        if (!report.expect(token.has_value(), "it is stuck")) break;
        report.expect(*token % stations == 0 && *token != 0, "a token missed a station");
        if (!report.expect(first->sender.send(*token, patience()).has_value(), "it is stuck")) break;
    }
    first->sender.close();
}

/// Channels shared by many senders and receivers, some of which select or give up; nothing is lost.
void many_threads_lose_nothing(TestReport& report) {
    constexpr std::uint64_t each = 500;
    constexpr unsigned senders = 4;
    auto a = Channel<std::uint64_t, ManyToMany>::create(4);
    auto b = Channel<std::uint64_t, ManyToMany>::create(2);
    if (!report.expect(a && b, "the channels could not be made")) return;
    std::atomic<std::uint64_t> sum = 0;
    std::atomic<std::uint64_t> count = 0;
    const auto take = [&](std::uint64_t value) {
        sum += value;
        ++count;
    };
    {
        std::array<ThreadHandle, senders + 4> threads;
        std::size_t made = 0;
        for (unsigned i = 0; i < 2; ++i)
            threads[made++] =
                spawn(report, [&take, from_a = auto(a->receiver), from_b = auto(b->receiver)]() mutable {
                    Select select(from_a, from_b);
                    while (const auto which = select.wait(patience())) {
                        const auto value = (*which == 0 ? from_a : from_b).try_receive();
                        if (value) take(*value);
                        if (!value && value.error() == ChannelError::closed) select.disable(*which);
                    }
                });
        for (auto* channel : {&*a, &*b})
            threads[made++] = spawn(report, [&take, i = made, from = auto(channel->receiver)]() mutable {
                while (true) {
                    const auto value =
                        from.receive(i % 2 == 0 ? arch::now_ns() + 20 * ns_per_us : patience());
                    if (value) take(*value);
                    if (!value && value.error() != ChannelError::timed_out) return;
                }
            });
        for (unsigned i = 0; i < senders; ++i)
            threads[made++] = spawn(report, [i, to = auto((i % 2 == 0 ? a : b)->sender)]() mutable {
                for (std::uint64_t k = 0; k < each; ++k)
                    if (!to.send(i * each + k, patience())) return;
            });
        a->sender.close();
        b->sender.close();
        a->receiver.close();
        b->receiver.close();
    }
    constexpr std::uint64_t messages = senders * each;
    report.expect_equal(count.load(), messages, "messages that arrived");
    report.expect_equal(sum.load(), messages * (messages - 1) / 2, "their sum");
}

void pages_are_never_lost(TestReport& report) {
    constexpr std::uint32_t pages = 16;
    auto pool = PagePool::create(pages);
    if (!report.expect(pool.has_value(), "the pool could not be made")) return;
    for (unsigned round = 0; round < 30; ++round) {
        auto channel = Channel<PageBuffer>::create(4, *pool);
        if (!report.expect(channel.has_value(), "the channel could not be made")) return;
        {
            const ThreadHandle source =
                spawn(report, [view = pool->view(), sender = std::move(channel->sender)]() mutable {
                    while (true) {
                        auto buffer = view.allocate(5'000);
                        if (!buffer) {
                            this_thread::yield();
                            continue;
                        }
                        std::memset(buffer->bytes().data(), 0x5c, buffer->bytes().size());
                        const auto sent = sender.send(std::move(*buffer), arch::now_ns() + 50 * ns_per_us);
                        if (!sent && sent.error() == ChannelError::closed) return;
                    }
                });
            for (unsigned i = 0; i < round; ++i) {
                const auto buffer = channel->receiver.receive(patience());
                if (!report.expect(buffer.has_value(), "no pages arrived")) break;
                report.expect(buffer->bytes()[4'999] == std::byte{0x5c}, "the content changed");
            }
            channel->receiver.close();
        }
        if (!report.expect_equal(pool->free_pages(), pages, "free pages in the end")) return;
    }
}

constexpr SelfTest tests[] = {
    {"channels: a stream arrives whole", stream_arrives_whole},
    {"channels: waits end at their deadline", waits_end_at_their_deadline},
    {"channels: a ring of threads keeps turning", a_ring_of_threads_keeps_turning},
    {"channels: many threads lose nothing", many_threads_lose_nothing},
    {"channels: pages are never lost", pages_are_never_lost},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
