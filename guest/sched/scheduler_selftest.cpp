#include <array>
#include <atomic>
#include <memory>
#include <new>

#include "guest/drivers/time_source.h"
#include "guest/kernel/selftest.h"
#include "guest/sched/event.h"
#include "guest/sched/mutex.h"
#include "guest/sched/semaphore.h"
#include "guest/sched/this_thread.h"
#include "guest/sched/thread_local.h"

namespace exo::guest {
namespace {

/// Long after anything that works: what waits longer is lost.
constexpr std::uint64_t patience_ns = 20 * ns_per_s;

Scheduler& scheduler() {
    return Thread::current()->scheduler();
}

std::uint64_t deadline() {
    return arch::now_ns() + patience_ns;
}

/// A handful of threads, joined at the end.
class Crew {
  public:
    static constexpr std::size_t most = 64;

    explicit Crew(TestReport& report) : report_(report) {}

    template <class Body>
    bool add(Body body, const ThreadOptions& options = {}) {
        auto thread = scheduler().spawn(options, body);
        if (!report_.expect(thread.has_value(), "a thread could not be made")) return false;
        members_[count_++] = std::move(*thread);
        return true;
    }
    /// Whether all of them ended in time.
    bool join() {
        const std::uint64_t until = deadline();
        while (count_ > 0) {
            if (!report_.expect(members_[count_ - 1].join_until(until).has_value(), "a thread does not end"))
                return false;
            --count_;
        }
        return true;
    }

  private:
    TestReport& report_;
    std::array<ThreadHandle, most> members_;
    std::size_t count_ = 0;
};

void threads_run_and_give_their_status(TestReport& report) {
    auto thread = scheduler().spawn({.name = "status"}, [] { return 42; });
    if (!report.expect(thread.has_value(), "a thread could not be made")) return;
    report.expect_equal(thread->join(), 42, "exit status");
}

void sleep_lasts_as_long_as_asked(TestReport& report) {
    for (int i = 0; i < 10; ++i) {
        const std::uint64_t until = arch::now_ns() + 2 * ns_per_ms;
        this_thread::sleep_until(until);
        report.expect(arch::now_ns() >= until, "it ended too early");
    }
}

/// Hogs on every CPU that never give it away; who is woken beside them runs all the same.
void busy_threads_are_preempted(TestReport& report) {
    std::atomic<bool> stop = false;
    Crew hogs(report);
    for (unsigned cpu = 0; cpu < scheduler().cpu_count(); ++cpu)
        hogs.add([&stop] {
            while (!stop.load(std::memory_order_relaxed)) arch::pause();
        });
    Crew sleepers(report);
    sleepers.add([] { this_thread::sleep_for(ns_per_ms); });
    sleepers.add([] {});
    sleepers.join();
    stop = true;
    hogs.join();
}

/// More busy threads than CPUs: every CPU takes part, and none of the threads is left out.
void all_processors_take_part(TestReport& report) {
    static std::array<std::atomic<bool>, arch::maximum_cpus> seen;
    for (auto& cpu : seen) cpu = false;
    const unsigned cpus = scheduler().cpu_count();
    std::atomic<unsigned> used = 0;
    const std::uint64_t until = deadline();
    Crew crew(report);
    for (unsigned i = 0; i < 2 * cpus && i < Crew::most; ++i)
        crew.add([&used, cpus, until] {
            while (used.load() < cpus && arch::now_ns() < until) {
                const arch::InterruptGuard guard;
                if (!seen[arch::current_cpu()].exchange(true)) ++used;
            }
        });
    crew.join();
    report.expect_equal(used.load(), cpus, "processors that ran a thread");
}

void a_mutex_excludes(TestReport& report) {
    Mutex mutex;
    std::uint64_t plain = 0;
    Crew crew(report);
    for (int t = 0; t < 6; ++t)
        crew.add([&] {
            for (int i = 0; i < 200; ++i) {
                const Locked guard(mutex);
                const std::uint64_t seen = plain;
                if (i % 16 == 0) this_thread::yield();
                *const_cast<volatile std::uint64_t*>(&plain) = seen + 1;
            }
        });
    crew.join();
    report.expect_equal(plain, 1'200u, "a number that six threads counted up");
}

void no_wake_up_is_lost(TestReport& report) {
    constexpr int rounds = 500;
    Semaphore ping(0);
    Semaphore pong(0);
    Crew crew(report);
    crew.add([&] {
        for (int i = 0; i < rounds && ping.acquire(deadline()); ++i) pong.release();
    });
    for (int i = 0; i < rounds; ++i) {
        ping.release();
        if (!report.expect(pong.acquire(deadline()), "a wake-up was lost")) break;
    }
    crew.join();
}

void deadlines_race_with_wake_ups(TestReport& report) {
    constexpr unsigned rounds = 100;
    Semaphore semaphore(0);
    std::atomic<unsigned> taken = 0;
    Crew crew(report);
    for (unsigned t = 0; t < 3; ++t)
        crew.add([&, t] {
            for (unsigned i = 0; i < rounds; ++i)
                if (semaphore.acquire(arch::now_ns() + (i * 7 + t) % 90 * ns_per_us)) ++taken;
        });
    for (unsigned i = 0; i < rounds; ++i) {
        semaphore.release();
        if (i % 4 == 0) this_thread::sleep_for(50 * ns_per_us);
    }
    crew.join();
    report.expect_equal(semaphore.units() + taken.load(), rounds, "units that were taken or are left");
}

void what_cannot_be_is_an_error(TestReport& report) {
    const auto giant = scheduler().spawn({.name = "giant", .stack_size = std::size_t{1} << 50}, [] {});
    report.expect(!giant.has_value(), "a thread has a stack of a petabyte");
}

void threads_have_data_of_their_own(TestReport& report) {
    auto own = ThreadLocal<std::uint64_t>::create(scheduler());
    if (!report.expect(own.has_value(), "there is no slot")) return;
    std::atomic<unsigned> wrong = 0;
    Crew crew(report);
    for (std::uint64_t i = 0; i < 8; ++i)
        crew.add([&, i] {
            if (own->get() != nullptr) *own->get() = i;
            for (int turn = 0; turn < 20; ++turn) this_thread::yield();
            if (own->get() == nullptr || *own->get() != i) ++wrong;
        });
    crew.join();
    report.expect_equal(wrong.load(), 0u, "threads that found another one's data");
}

/// The 16 registers of SSE, which the kernel itself does not use, hold what the thread left in them.
void vector_registers_belong_to_a_thread(TestReport& report) {
    if (__STDC_HOSTED__ != 0) return report.skip("the compiler uses them itself here");
    std::atomic<unsigned> wrong = 0;
    Crew crew(report);
    for (std::uint64_t i = 1; i <= 6; ++i)
        crew.add(
            [&wrong, i] {
                const std::uint64_t until = arch::now_ns() + 40 * ns_per_ms;
                asm volatile("movq %0, %%xmm0; movq %0, %%xmm7; movq %0, %%xmm15" : : "r"(i * 0x1111));
                while (arch::now_ns() < until) {
                    std::uint64_t a, b, c;
                    asm volatile("movq %%xmm0, %0; movq %%xmm7, %1; movq %%xmm15, %2"
                                 : "=r"(a), "=r"(b), "=r"(c));
                    if (a != i * 0x1111 || b != a || c != a) return void(++wrong);
                    if (i % 2 == 0) this_thread::yield();
                }
            },
            {.uses_simd = true});
    crew.join();
    report.expect_equal(wrong.load(), 0u, "threads that lost their registers");
}

constexpr SelfTest tests[] = {
    {"threads: run and give their status", threads_run_and_give_their_status},
    {"threads: sleep lasts as long as asked", sleep_lasts_as_long_as_asked},
    {"threads: busy ones are pre-empted", busy_threads_are_preempted},
    {"threads: all processors take part", all_processors_take_part},
    {"threads: a mutex excludes", a_mutex_excludes},
    {"threads: no wake-up is lost", no_wake_up_is_lost},
    {"threads: deadlines race with wake-ups", deadlines_race_with_wake_ups},
    {"threads: what cannot be is an error", what_cannot_be_is_an_error},
    {"threads: data of their own", threads_have_data_of_their_own},
    {"threads: vector registers belong to a thread", vector_registers_belong_to_a_thread},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
