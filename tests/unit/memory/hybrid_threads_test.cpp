// The allocator under real threads; ThreadSanitizer's preset runs the same tests.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "tests/unit/memory/hosted_heap.h"

namespace exo::guest {
namespace {

using Cache = HostedAllocator::Cache;

struct Piece {
    std::byte* memory = nullptr;
    std::size_t size = 0;
};

Piece allocate(HostedHeap& heap, Cache& cache, std::size_t size) {
    auto* const memory = static_cast<std::byte*>(heap->allocate(cache, size));
    EXPECT_NE(memory, nullptr);
    std::memset(memory, static_cast<int>(size & 0xff), size);
    return {memory, size};
}

void check_and_free(HostedHeap& heap, Cache& cache, const Piece& piece) {
    const auto pattern = static_cast<std::byte>(piece.size & 0xff);
    for (std::size_t i = 0; i < piece.size; i += piece.size > 64 ? 61 : 1)
        ASSERT_EQ(piece.memory[i], pattern);
    heap->deallocate(cache, piece.memory, piece.size);
}

/// Pieces handed from thread to thread.
class Exchange {
  public:
    /// Leaves a piece in a random place and takes what was there.
    Piece swap(std::size_t place, const Piece& piece) {
        const std::lock_guard guard(lock_);
        return std::exchange(places_[place % places_.size()], piece);
    }
    std::vector<Piece>& places() { return places_; }

  private:
    std::mutex lock_;
    std::vector<Piece> places_ = std::vector<Piece>(256);
};

void expect_all_returned(HostedHeap& heap, const BuddyAllocator::Statistics& initial) {
    heap->reclaim();
    EXPECT_EQ(heap->statistics().buddy.free_blocks, initial.free_blocks);
    EXPECT_EQ(heap->statistics().cpu_slabs.slabs(), 0U);
}

/// More threads than CPUs, so that CPUs' slabs are shared too, and threads that move between CPUs.
TEST(HybridThreads, PiecesFreedByAnyThread) {
    constexpr unsigned cpus = 3;
    HostedHeap heap(16'384, cpus);
    const auto initial = heap->statistics().buddy;
    Exchange exchange;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            Cache cache(*heap);
            std::mt19937 random(t);
            for (int i = 0; i < 30'000; ++i) {
                if (i % 64 == 0) HostedPlatform::cpu = static_cast<unsigned>((t + random()) % cpus);
                const std::size_t size = random() % 100 == 0 ? 3'000 + random() % 20'000 : random() % 2'049;
                const Piece other = exchange.swap(random(), allocate(heap, cache, size));
                if (other.memory != nullptr) check_and_free(heap, cache, other);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    {
        Cache cache(*heap);
        for (const Piece& piece : exchange.places())
            if (piece.memory != nullptr) check_and_free(heap, cache, piece);
    }
    const HeapStatistics statistics = heap->statistics();
    EXPECT_EQ(statistics.thread_caches.allocations, statistics.thread_caches.frees);
    EXPECT_GT(statistics.cpu_slabs.remote_objects, 0U);
    expect_all_returned(heap, initial);
}

/// One thread only allocates, one only frees: memory in use stays bounded however long it goes on.
/// EXO_SOAK_SECONDS makes it longer than the usual second.
TEST(HybridThreads, ProducerAndConsumerDoNotGrow) {
    const char* const asked = std::getenv("EXO_SOAK_SECONDS");
    const auto duration = std::chrono::seconds(asked != nullptr ? std::atoi(asked) : 1);
    constexpr PageIndex pages = 8'192;
    HostedHeap heap(pages, 2);
    const auto initial = heap->statistics().buddy;
    constexpr std::size_t in_flight = 1024;
    std::vector<Piece> ring(in_flight);
    std::atomic<std::size_t> produced = 0;
    std::atomic<std::size_t> consumed = 0;
    std::atomic<bool> stop = false;
    std::atomic<bool> produced_all = false;
    std::atomic<std::uint64_t> most_pages = 0;

    std::thread producer([&] {
        HostedPlatform::cpu = 0;
        Cache cache(*heap);
        std::mt19937 random(7);
        for (std::size_t i = 0; !stop; ++i) {
            while (i - consumed.load(std::memory_order_acquire) >= in_flight) std::this_thread::yield();
            ring[i % in_flight] = allocate(heap, cache, random() % 2'049);
            produced.store(i + 1, std::memory_order_release);
            if (i % 4'096 == 0)
                most_pages = std::max(most_pages.load(), pages - heap->statistics().buddy.free_pages);
        }
    });
    std::thread consumer([&] {
        HostedPlatform::cpu = 1;
        Cache cache(*heap);
        for (std::size_t i = 0;; ++i) {
            while (i == produced.load(std::memory_order_acquire)) {
                if (produced_all && i == produced) return;
                std::this_thread::yield();
            }
            check_and_free(heap, cache, ring[i % in_flight]);
            consumed.store(i + 1, std::memory_order_release);
        }
    });
    std::this_thread::sleep_for(duration);
    stop = true;
    producer.join();
    produced_all = true;
    consumer.join();

    const HeapStatistics statistics = heap->statistics();
    // 1,024 pieces in flight are about 300 pages; two thread caches and two CPUs' chains hold the rest.
    EXPECT_LT(most_pages, 300U + 2 * 64 + 2 * 16 * 17);
    EXPECT_EQ(statistics.thread_caches.allocations, statistics.thread_caches.frees);
    EXPECT_GE(statistics.thread_caches.hit_rate(), 9'000U);
    RecordProperty("pieces", std::to_string(produced.load()));
    RecordProperty("most_pages", std::to_string(most_pages.load()));
    expect_all_returned(heap, initial);
}

/// Threads that come and go leave nothing behind.
TEST(HybridThreads, ShortLivedThreads) {
    HostedHeap heap(8'192, 4);
    const auto initial = heap->statistics().buddy;
    for (unsigned round = 0; round < 50; ++round) {
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                HostedPlatform::cpu = t;
                Cache cache(*heap);
                std::vector<Piece> pieces;
                for (std::size_t size = t; size < 4'000; size += 37)
                    pieces.push_back(allocate(heap, cache, size));
                for (const Piece& piece : pieces) check_and_free(heap, cache, piece);
            });
        }
        for (std::thread& thread : threads) thread.join();
    }
    expect_all_returned(heap, initial);
}

/// Memory so short that every thread keeps running into the end of it.
TEST(HybridThreads, ExhaustionUnderContention) {
    HostedHeap heap(256, 2);
    const auto initial = heap->statistics().buddy;
    std::atomic<int> refusals = 0;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            HostedPlatform::cpu = t % 2;
            Cache cache(*heap);
            std::mt19937 random(t);
            std::vector<Piece> pieces;
            for (int i = 0; i < 5'000; ++i) {
                const std::size_t size = random() % 6'000;
                auto* const memory = static_cast<std::byte*>(heap->allocate(cache, size));
                if (memory == nullptr) {
                    ++refusals;
                    for (const Piece& piece : pieces) check_and_free(heap, cache, piece);
                    pieces.clear();
                    continue;
                }
                std::memset(memory, static_cast<int>(size & 0xff), size);
                pieces.push_back({memory, size});
            }
            for (const Piece& piece : pieces) check_and_free(heap, cache, piece);
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(refusals, 0);
    expect_all_returned(heap, initial);
}

}  // namespace
}  // namespace exo::guest
