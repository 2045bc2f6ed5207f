#include <cstdint>

#include "guest/arch/arch.h"
#include "guest/kernel/selftest.h"
#include "guest/kernel/services.h"

namespace exo::guest {
namespace {

void they_are_on_and_guards_nest(TestReport& report) {
    report.expect(arch::interrupts_enabled(), "the kernel runs with interrupts off");
    {
        const arch::InterruptGuard outer;
        report.expect(!arch::interrupts_enabled(), "a guard did not turn interrupts off");
        {
            const arch::InterruptGuard inner;
        }
        report.expect(!arch::interrupts_enabled(), "an inner guard turned interrupts on");
    }
    report.expect(arch::interrupts_enabled(), "a guard did not put interrupts back");
}

/// Nothing else can end these sleeps on a quiet machine.
void the_timer_fires(TestReport& report) {
    TimeSource& time = services().time;
    const arch::InterruptGuard guard;
    for (int i = 0; i < 20; ++i) {
        const std::uint64_t start = time.now_ns();
        arch::wait_for_interrupt(start + ns_per_ms);
        if (!report.expect(time.now_ns() - start < 5 * ns_per_s, "the timer came seconds too late")) return;
        report.expect(!arch::interrupts_enabled(), "a sleep came back with interrupts on");
    }
}

void a_passed_deadline_is_no_sleep(TestReport& report) {
    const arch::InterruptGuard guard;
    const std::uint64_t start = services().time.now_ns();
    arch::wait_for_interrupt(start);
    arch::wait_for_interrupt(0);
    report.expect(services().time.now_ns() - start < 5 * ns_per_s, "a deadline in the past was slept for");
}

void a_line_has_one_source(TestReport& report) {
    InterruptSupply& supply = services().interrupts;
    const auto first = supply.legacy_irq(12);
    const auto again = supply.legacy_irq(12);
    if (!first || !again) return report.skip("no controller serves line 12");
    report.expect(*first == *again, "asking twice for a line gives two interrupts");
    report.expect(!supply.legacy_irq(16), "a line that does not exist was given out");
}

constexpr SelfTest tests[] = {
    {"interrupts: they are on, and guards nest", they_are_on_and_guards_nest},
    {"interrupts: the timer fires", the_timer_fires},
    {"interrupts: a passed deadline is no sleep", a_passed_deadline_is_no_sleep},
    {"interrupts: a line has one source", a_line_has_one_source},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
