#include <cstdint>

#include "guest/arch/arch.h"
#include "guest/kernel/selftest.h"
#include "guest/kernel/services.h"

namespace exo::guest {
namespace {

TimeSource& time() {
    return services().time;
}

void it_never_goes_back(TestReport& report) {
    std::uint64_t last = time().now_ns();
    for (int i = 0; i < 100'000; ++i) {
        const std::uint64_t now = time().now_ns();
        if (!report.expect(now >= last, "the clock went back")) return;
        last = now;
    }
}

void it_agrees_with_the_tsc(TestReport& report) {
    const std::uint64_t frequency = arch::timestamp_frequency();
    report.expect(frequency > 10'000'000 && frequency < 20'000'000'000,
                  "the TSC's frequency is not plausible");
    const std::uint64_t start_ns = time().now_ns();
    const std::uint64_t start = arch::timestamp();
    while (arch::timestamp() - start < frequency / 50) arch::pause();
    const std::uint64_t passed = time().now_ns() - start_ns;
    report.expect(passed >= 19 * ns_per_ms, "20 ms of the TSC took less than 19 ms of the clock");
}

void a_sleep_ends_at_its_deadline(TestReport& report) {
    for (const std::uint64_t length : {1 * ns_per_ms, 5 * ns_per_ms, 20 * ns_per_ms}) {
        const std::uint64_t deadline = time().now_ns() + length;
        const arch::InterruptGuard guard;
        while (time().now_ns() < deadline) arch::wait_for_interrupt(deadline);
        // A busy host may hold the machine up for long, but not for ever.
        report.expect(time().now_ns() < deadline + 5 * ns_per_s, "a sleep ended seconds too late");
    }
}

/// The real-time clock of the PC ticks on its own. The time when its second changes next.
std::uint64_t next_second(Registers& ports) {
    const auto seconds = [&] {
        ports.write8(0, 0);
        return ports.read8(1);
    };
    const std::uint8_t before = seconds();
    const std::uint64_t deadline = time().now_ns() + 10 * ns_per_s;
    while (seconds() == before && time().now_ns() < deadline) time().relax();
    return time().now_ns();
}

void it_agrees_with_the_real_time_clock(TestReport& report) {
    constexpr std::uint16_t rtc_ports = 0x70;
    const auto ports = services().registers.map_ports(rtc_ports, 2);
    if (!ports) return report.skip("its ports cannot be reached");
    const std::uint64_t start = next_second(**ports);
    const std::uint64_t passed = next_second(**ports) - start;
    report.expect(passed > 700 * ns_per_ms, "a second of the real-time clock took less than 0.7 s");
    report.expect(passed < 9 * ns_per_s,
                  "a second of the real-time clock took more than 9 s, or it stands still");
}

constexpr SelfTest tests[] = {
    {"clock: it never goes back", it_never_goes_back},
    {"clock: it agrees with the TSC", it_agrees_with_the_tsc},
    {"clock: a sleep ends at its deadline", a_sleep_ends_at_its_deadline},
    {"clock: it agrees with the real-time clock", it_agrees_with_the_real_time_clock},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
