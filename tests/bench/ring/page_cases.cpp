// A message of 4 KiB: handed over in place, or copied. "In place" is the price of the send: the first word
// only is looked at, as a party does that passes the data on. "Touched" is the price of the whole job, where
// the sender writes and the receiver reads all of it, which costs the same whatever the send.
#include <cstring>

#include "shared/fusion/pool.h"
#include "tests/bench/ring/fusion_cases.h"

namespace exo::bench {
namespace {

constexpr std::uint64_t pages = 2'048;  // sent in a run
constexpr std::size_t page_words = 512;
constexpr const char* per_page = "TSC cycles a page of 4 KiB";

struct Page {
    std::uint64_t word[page_words];
};

/// Writes what page `number` carries, and sums what came.
template <bool touched>
void fill(std::uint64_t* words, std::uint64_t number) {
    const std::size_t count = touched ? page_words : 1;
    for (std::size_t i = 0; i < count; ++i) words[i] = number + i;
}
template <bool touched>
std::uint64_t sum(const std::uint64_t* words) {
    const std::size_t count = touched ? page_words : 1;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < count; ++i) total += words[i];
    return total;
}
template <bool touched>
constexpr std::uint64_t expected_sum() {
    constexpr std::uint64_t words = touched ? page_words : 1;
    return words * (pages * (pages - 1) / 2) + pages * (words * (words - 1) / 2);
}

struct Shared {
    static constexpr std::uint32_t pool_pages = 64;
    alignas(4096) std::byte ring_memory[fusion::ring_bytes(fusion::default_capacity)];
    alignas(4096) std::byte pool_memory[fusion::pool_bytes(pool_pages)];
    fusion::Ring ring = *fusion::Ring::format(ring_memory);
    alignas(128) fusion::Producer producer{ring};
    fusion::SharedMemoryPool<> sender_pool = *fusion::SharedMemoryPool<>::format(pool_memory, pool_pages);
    Page source{};
    alignas(128) fusion::Consumer consumer{ring};
    fusion::SharedMemoryPool<> receiver_pool = *fusion::SharedMemoryPool<>::attach(pool_memory);
    Page destination{};
};

template <bool touched>
struct ZeroCopy : Shared {
    void send(std::uint64_t number) {
        auto buffer = sender_pool.allocate(sizeof(Page));
        while (!buffer) {
            relax();
            buffer = sender_pool.allocate(sizeof(Page));
        }
        fill<touched>(reinterpret_cast<std::uint64_t*>(buffer->bytes().data()), number);
        while (!send_zerocopy(producer, std::move(*buffer))) relax();
    }
    std::uint64_t receive() {
        auto message = consumer.recv();
        while (!message) {
            relax();
            message = consumer.recv();
        }
        const auto buffer = receiver_pool.accept(*message);
        return buffer ? sum<touched>(reinterpret_cast<const std::uint64_t*>(buffer->bytes().data())) : 0;
    }
};

/// The page goes through the slots, 56 bytes at a time, in batches.
template <bool touched>
struct ThroughSlots : Shared {
    static constexpr std::size_t slots = (sizeof(Page) + sizeof(Message56) - 1) / sizeof(Message56);
    union Pieces {
        Page page;
        Message56 piece[slots];
    };
    void send(std::uint64_t number) {
        fill<touched>(out.page.word, number);
        for (std::size_t sent = 0; sent < slots;) {
            const auto now = producer.send_batch(std::span(out.piece + sent, slots - sent));
            if (!now) relax();
            sent += now.value_or(0);
        }
    }
    std::uint64_t receive() {
        for (std::size_t taken = 0; taken < slots;) {
            const auto now = consumer.recv_batch(std::span(in.piece + taken, slots - taken));
            if (!now) relax();
            taken += now.value_or(0);
        }
        return sum<touched>(in.page.word);
    }
    alignas(128) Pieces out{};
    alignas(128) Pieces in{};
};

/// The page is copied into shared memory and out of it, and only its descriptor goes through the ring.
template <bool touched>
struct ThroughPool : Shared {
    void send(std::uint64_t number) {
        fill<touched>(source.word, number);
        const auto bytes = std::as_bytes(std::span(source.word));
        while (!send_with_pool(producer, sender_pool, bytes)) relax();
    }
    std::uint64_t receive() {
        auto message = consumer.recv();
        while (!message) {
            relax();
            message = consumer.recv();
        }
        const auto buffer = receiver_pool.accept(*message);
        if (!buffer) return 0;
        std::memcpy(destination.word, buffer->bytes().data(), sizeof(Page));
        return sum<touched>(destination.word);
    }
};

template <template <bool> class Way, bool touched>
Run run_pages(Stage& stage) {
    struct Context {
        Way<touched>* way;
        std::uint64_t sum;
    } context{&queue_instance<Way<touched>>(), 0};
    const std::uint64_t ticks = stage.run_together(
        [](void* pointer) {
            auto& here = *static_cast<Context*>(pointer);
            for (std::uint64_t i = 0; i < pages; ++i) here.sum += here.way->receive();
        },
        [](void* pointer) {
            for (std::uint64_t i = 0; i < pages; ++i) static_cast<Context*>(pointer)->way->send(i);
        },
        &context);
    return {ticks, pages, context.sum == expected_sum<touched>()};
}

EXO_BENCH_CASES const Case cases[] = {
    {"ring", "page-in-place", "fusion zero-copy", per_page, run_pages<ZeroCopy, false>, Side::own, 2},
    {"ring", "page-in-place", "copied through slots", per_page, run_pages<ThroughSlots, false>, Side::peer,
     2},
    {"ring", "page-in-place", "copied through the pool", per_page, run_pages<ThroughPool, false>, Side::peer,
     2},
    {"ring", "page-touched", "fusion zero-copy", per_page, run_pages<ZeroCopy, true>, Side::own, 2},
    {"ring", "page-touched", "copied through slots", per_page, run_pages<ThroughSlots, true>, Side::peer, 2},
    {"ring", "page-touched", "copied through the pool", per_page, run_pages<ThroughPool, true>, Side::peer,
     2},
};

}  // namespace
}  // namespace exo::bench
