#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/clock.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/cpu_calls.h"
#include "guest/arch/x86_64/local_apic.h"
#include "guest/arch/x86_64/page_table.h"
#include "guest/arch/x86_64/processor.h"
#include "guest/arch/x86_64/start_cpus.h"
#include "guest/kernel/selftest.h"
#include "guest/kernel/services.h"
#include "guest/memory/kernel_memory.h"

namespace exo::guest {
namespace {

using arch::Processor;
using arch::processors;

constexpr std::string_view one_processor = "the machine has one processor";

struct SeenByCpu {
    std::uint64_t cr0, cr4, efer;
    unsigned number;
    std::uint32_t apic_id;
};

void look_around(void* context) {
    auto& seen = *static_cast<std::array<SeenByCpu, arch::maximum_cpus>*>(context);
    seen[arch::current_cpu()] = {.cr0 = arch::read_cr0(),
                                 .cr4 = arch::read_cr4(),
                                 .efer = arch::rdmsr(arch::msr::efer),
                                 .number = arch::cpu_local().number,
                                 .apic_id = arch::initial_apic_id()};
}

void all_have_come_up(TestReport& report) {
    report.expect_equal(arch::cpu_count(), arch::usable_cpu_count(), "processors in use");
    std::array<SeenByCpu, arch::maximum_cpus> seen = {};
    arch::call_on_every_cpu(look_around, &seen);
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        report.expect_equal(seen[cpu].number, cpu, "the number in a processor's block");
        report.expect_equal(seen[cpu].apic_id, processors[cpu].apic_id, "the APIC id of a processor");
        report.expect_equal(seen[cpu].cr0, seen[0].cr0, "CR0 differs from the first processor's");
        report.expect_equal(seen[cpu].cr4, seen[0].cr4, "CR4 differs from the first processor's");
        report.expect_equal(seen[cpu].efer, seen[0].efer, "EFER differs from the first processor's");
    }
}

void a_call_reaches_each_and_comes_back(TestReport& report) {
    for (int round = 0; round < 100; ++round) {
        for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
            unsigned answer = ~0u;
            arch::call_on_cpu(
                cpu, [](void* context) { *static_cast<unsigned*>(context) = arch::current_cpu(); }, &answer);
            if (!report.expect_equal(answer, cpu, "a call ran on another processor")) return;
        }
    }
}

/// Everybody calls everybody, with interrupts off: who only waited would wait for ever.
void calls_across_do_not_hang(TestReport& report) {
    constexpr unsigned rounds = 4;
    static std::atomic<unsigned> count;
    count = 0;
    const auto call_all = [](void*) {
        for (unsigned round = 0; round < rounds; ++round)
            for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu)
                arch::call_on_cpu(cpu, [](void*) { count.fetch_add(1); }, nullptr);
    };
    arch::call_on_every_cpu(call_all, nullptr);
    report.expect_equal(count.load(), rounds * arch::cpu_count() * arch::cpu_count(), "calls that arrived");
}

/// Two processors pass a number to and fro, each asleep until the other's interrupt comes.
class PingPong {
  public:
    static constexpr unsigned rounds = 10'000;
    /// Whoever is woken by this has missed an interrupt.
    static constexpr std::uint64_t patience_ns = 3 * ns_per_s;

    PingPong(unsigned first, unsigned second) : sides_{first, second} {}

    void play() {
        for (unsigned side = 0; side < 2; ++side)
            if (arch::current_cpu() == sides_[side]) play_side(side);
    }
    unsigned missed() const { return missed_; }
    unsigned played() const { return ball_; }

  private:
    void play_side(unsigned side) {
        for (unsigned round = side; round < 2 * rounds; round += 2) {
            const std::uint64_t deadline = arch::now_ns() + patience_ns;
            while (ball_.load(std::memory_order_acquire) < round) {
                arch::wait_for_interrupt(deadline);
                if (arch::now_ns() < deadline) continue;
                missed_.fetch_add(1);
                return;
            }
            ball_.store(round + 1, std::memory_order_release);
            arch::interrupt_cpu(sides_[1 - side]);
        }
    }

    std::array<unsigned, 2> sides_;
    std::atomic<unsigned> ball_ = 0;
    std::atomic<unsigned> missed_ = 0;
};

void no_wake_up_is_lost(TestReport& report) {
    if (arch::cpu_count() == 1) return report.skip(one_processor);
    PingPong game(0, arch::cpu_count() - 1);
    arch::call_on_every_cpu([](void* context) { static_cast<PingPong*>(context)->play(); }, &game);
    report.expect_equal(game.missed(), 0u, "processors that were not woken");
    report.expect_equal(game.played(), 2 * PingPong::rounds, "turns");
}

struct TimerTest {
    std::atomic<unsigned> late = 0, early = 0;
};

void use_own_timer(void* context) {
    auto& test = *static_cast<TimerTest*>(context);
    Processor& self = arch::this_processor();
    const std::uint64_t before = self.timer_deadline;
    for (int i = 0; i < 5; ++i) {
        const std::uint64_t start = arch::now_ns();
        arch::set_timer(start + ns_per_ms);
        // A timer that does not fire is noticed, not waited for.
        while (arch::now_ns() < start + ns_per_ms) arch::wait_for_interrupt(start + 5 * ns_per_s);
        if (arch::now_ns() - start >= 4 * ns_per_s) test.late.fetch_add(1);
        if (self.timer_deadline != 0) arch::wait_for_interrupt(start + 5 * ns_per_s);
        if (self.timer_deadline != 0) test.early.fetch_add(1);
    }
    arch::set_timer(before == 0 ? arch::no_deadline : before - 1);
}

void each_has_a_timer(TestReport& report) {
    TimerTest test;
    arch::call_on_every_cpu(use_own_timer, &test);
    report.expect_equal(test.late.load(), 0u, "timers that fired seconds too late");
    report.expect_equal(test.early.load(), 0u, "deadlines that passed without an interrupt");
}

/// A device's interrupt comes to one processor, who waits for it is on another.
void an_interrupt_wakes_a_waiter_elsewhere(TestReport& report) {
    if (arch::cpu_count() == 1) return report.skip(one_processor);
    static const auto msi = services().interrupts.allocate_msi(arch::cpu_count() - 1);
    if (!msi) return report.skip("no interrupt can be sent to the last processor");
    const auto raise = [](void*) {
        arch::send_interrupt(processors[arch::cpu_count() - 1].apic_id,
                             static_cast<std::uint8_t>(msi->message.data));
    };
    for (int i = 0; i < 100; ++i) {
        const std::uint64_t seen = msi->interrupt->count();
        arch::call_on_cpu(arch::cpu_count() - 1, raise, nullptr);
        const bool woken = msi->interrupt->wait(seen, arch::now_ns() + 3 * ns_per_s);
        if (!report.expect(woken, "an interrupt on another processor did not end a wait")) return;
    }
}

/// The tables in use, changed in place where they are filled already.
struct ActiveTables {
    std::uint64_t allocate_table() { return 0; }
    std::uint64_t* table(std::uint64_t physical) {
        return reinterpret_cast<std::uint64_t*>(arch::memory_at(physical));
    }
    void store(std::uint64_t* entry, std::uint64_t value) {
        *static_cast<volatile std::uint64_t*>(entry) = value;
    }
};

/// A page whose frame is exchanged under the processors' feet.
struct ChangingPage {
    volatile std::uint64_t* word;
    std::array<std::uint64_t, arch::maximum_cpus> seen = {};

    static void read(void* context) {
        auto& page = *static_cast<ChangingPage*>(context);
        page.seen[arch::current_cpu()] = *page.word;
    }
    void show(std::uint64_t physical) const {
        ActiveTables memory;
        arch::PageTable<ActiveTables> tables(memory, arch::read_cr3() & arch::page_bit::address,
                                             arch::page_size);
        const auto address = reinterpret_cast<std::uintptr_t>(word);
        static_cast<void>(tables.unmap(address, arch::page_size));
        static_cast<void>(tables.map(address, physical, arch::page_size, arch::PageAccess::read_write));
    }
    void flush() const {
        arch::flush_tlb_everywhere(
            {.start = reinterpret_cast<std::uintptr_t>(word), .size = arch::page_size});
    }
};

std::uint64_t physical_of(const volatile void* address) {
    ActiveTables memory;
    return arch::PageTable<ActiveTables>(memory, arch::read_cr3() & arch::page_bit::address, arch::page_size)
        .translate(reinterpret_cast<std::uintptr_t>(address))
        .physical;
}

void a_shoot_down_removes_stale_translations(TestReport& report) {
    const auto stack = arch::allocate_guarded_stack(arch::page_size);
    const auto other = kernel_memory().frames.allocate(1);
    if (!report.expect(stack && other, "no memory")) return;
    ChangingPage page{.word = reinterpret_cast<volatile std::uint64_t*>(stack->data())};
    const std::uint64_t first = physical_of(page.word);
    *page.word = 1;
    *reinterpret_cast<volatile std::uint64_t*>(arch::memory_at(*other)) = 2;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t wanted = round % 2 == 0 ? 2 : 1;
        arch::call_on_every_cpu(ChangingPage::read, &page);  // now all have it cached
        page.show(wanted == 2 ? *other : first);
        page.flush();
        arch::call_on_every_cpu(ChangingPage::read, &page);
        for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu)
            report.expect_equal(page.seen[cpu], wanted, "a processor used a translation that was flushed");
    }
    arch::release_guarded_stack(*stack);
    report.expect(kernel_memory().frames.release(*other, 1).has_value(), "the frame was not the test's");
}

/// Where all processors wait for the last.
class Meeting {
  public:
    void wait() {
        come_.fetch_add(1);
        while (come_.load() < arch::cpu_count()) arch::pause();
    }

  private:
    std::atomic<unsigned> come_ = 0;
};

struct Hammered {
    static constexpr std::uint64_t rounds = 2'000;
    Meeting meeting;
    KernelPlatform::Lock lock;
    std::uint64_t count = 0;
    std::uint64_t squares = 0;

    static void hammer(void* context) {
        auto& self = *static_cast<Hammered*>(context);
        self.meeting.wait();
        for (std::uint64_t i = 0; i < rounds; ++i) {
            const Locked guard(self.lock);
            ++self.count;
            self.squares = self.count * self.count;
        }
    }
};

void a_lock_keeps_all_others_out(TestReport& report) {
    Hammered hammered;
    arch::call_on_every_cpu(Hammered::hammer, &hammered);
    const std::uint64_t wanted = Hammered::rounds * arch::cpu_count();
    report.expect_equal(hammered.count, wanted, "turns that were counted");
    report.expect_equal(hammered.squares, wanted * wanted, "what was written under the lock");
}

/// Reads of one clock by all processors, each behind the one before: none may show an earlier time.
struct CommonClock {
    Meeting meeting;
    KernelPlatform::Lock lock;
    std::uint64_t last = 0;
    std::uint64_t worst = 0;

    static void read(void* context) {
        auto& self = *static_cast<CommonClock*>(context);
        self.meeting.wait();
        for (int i = 0; i < 2'000; ++i) {
            const Locked guard(self.lock);
            const std::uint64_t now = arch::now_ns();
            if (now < self.last) self.worst = std::max(self.worst, self.last - now);
            self.last = now;
        }
    }
};

void the_clock_is_one(TestReport& report) {
    CommonClock clock;
    arch::call_on_every_cpu(CommonClock::read, &clock);
    report.expect_equal(clock.worst, 0u,
                        "nanoseconds that the clock went back from one processor to another");
}

constexpr SelfTest tests[] = {
    {"cpus: all have come up, and are set up alike", all_have_come_up},
    {"cpus: a call reaches each and comes back", a_call_reaches_each_and_comes_back},
    {"cpus: calls across do not hang", calls_across_do_not_hang},
    {"cpus: no wake-up is lost in 10,000 rounds between two", no_wake_up_is_lost},
    {"cpus: each has a timer", each_has_a_timer},
    {"cpus: an interrupt wakes who waits on another", an_interrupt_wakes_a_waiter_elsewhere},
    {"cpus: a shoot-down removes stale translations", a_shoot_down_removes_stale_translations},
    {"cpus: a lock keeps all others out", a_lock_keeps_all_others_out},
    {"cpus: the clock is one", the_clock_is_one},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
