#include <array>
#include <atomic>
#include <cstring>
#include <new>

#include "guest/drivers/time_source.h"
#include "guest/kernel/selftest.h"
#include "guest/sched/condition.h"
#include "guest/sched/semaphore.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

/// Pre-emption, sleep, mutexes, hand-over of memory between threads, and threads that come and go, all at
/// once; a sum that all of them keep must come out right.
class Stress {
  public:
    explicit Stress(std::uint64_t until_ns) : until_ns_(until_ns) {}

    void work(unsigned number) {
        random_seed seed{number * 2'654'435'761u + 1};
        while (arch::now_ns() < until_ns_ && failures_.load() == 0) {
            switch (seed.next() % 6) {
                case 0:
                    count_under_mutex();
                    break;
                case 1:
                    this_thread::sleep_for(seed.next() % 300 * ns_per_us);
                    break;
                case 2:
                    swap_memory(seed.next());
                    break;
                case 3:
                    compute(seed.next() % 20'000);
                    break;
                case 4:
                    start_and_join();
                    break;
                case 5:
                    take_unit(seed.next() % 200 * ns_per_us);
                    break;
            }
            ++turns_;
        }
    }

    void check(TestReport& report) {
        for (unsigned place = 0; place < exchange_.size(); ++place)
            release(exchange_[place].exchange(nullptr));
        report.expect_equal(failures_.load(), 0u, "wrong results");
        report.expect_equal(counted_, expected_.load(), "a number that all threads counted up");
        report.expect_equal(units_.units(), 3u, "units of the semaphore that came back");
        report.expect(turns_.load() > 0, "nothing was done");
    }

  private:
    struct random_seed {
        std::uint32_t state;
        std::uint32_t next() {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            return state;
        }
    };
    /// Memory that knows its size and is filled with it.
    struct Piece {
        std::size_t size;
        std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
    };

    void expect(bool holds) {
        if (!holds) ++failures_;
    }

    void count_under_mutex() {
        const Locked guard(mutex_);
        const std::uint64_t seen = counted_;
        compute(50);
        counted_ = seen + 1;
        ++expected_;
    }

    void swap_memory(std::uint32_t random) {
        const std::size_t size = random % 97 == 0 ? 20'000 : random % 2'000;
        auto* const memory = new (std::nothrow) std::byte[sizeof(Piece) + size];
        if (memory == nullptr) return;
        auto* const piece = new (memory) Piece{size};
        std::memset(piece->bytes(), static_cast<int>(size & 0xff), size);
        release(exchange_[random % exchange_.size()].exchange(piece));
    }
    void release(Piece* piece) {
        if (piece == nullptr) return;
        for (std::size_t i = 0; i < piece->size; ++i)
            expect(piece->bytes()[i] == static_cast<std::byte>(piece->size & 0xff));
        delete[] reinterpret_cast<std::byte*>(piece);
    }

    static void compute(std::uint32_t turns) {
        for (std::uint32_t i = 0; i < turns; ++i) asm volatile("" : : : "memory");
    }

    void start_and_join() {
        auto thread =
            Thread::current()->scheduler().spawn({.name = "short", .stack_size = 16 << 10}, [] { return 7; });
        if (thread) expect(thread->join() == 7);
    }

    void take_unit(std::uint64_t patience_ns) {
        if (!units_.acquire(arch::now_ns() + patience_ns)) return;
        this_thread::yield();
        units_.release();
    }

    const std::uint64_t until_ns_;
    Mutex mutex_;
    std::uint64_t counted_ = 0;  // by mutex_, the expected number by itself
    std::atomic<std::uint64_t> expected_ = 0;
    Semaphore units_{3};
    std::array<std::atomic<Piece*>, 16> exchange_ = {};
    std::atomic<unsigned> failures_ = 0;
    std::atomic<std::uint64_t> turns_ = 0;
};

void everything_at_once(TestReport& report) {
    Stress stress(arch::now_ns() + report.stress_ns);
    std::array<ThreadHandle, 16> threads;
    Scheduler& scheduler = Thread::current()->scheduler();
    for (unsigned number = 0; number < threads.size(); ++number) {
        auto thread = scheduler.spawn({.name = "stress", .uses_simd = number % 4 == 0},
                                      [&stress, number] { stress.work(number); });
        if (!report.expect(thread.has_value(), "a thread could not be made")) break;
        threads[number] = std::move(*thread);
    }
    for (ThreadHandle& thread : threads)
        if (thread.joinable()) thread.join();
    stress.check(report);
}

constexpr SelfTest tests[] = {{"threads: everything at once", everything_at_once}};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
