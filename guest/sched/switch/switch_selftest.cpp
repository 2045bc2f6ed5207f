#include <array>
#include <cstdint>
#include <memory>
#include <new>

#include "guest/kernel/selftest.h"
#include "guest/sched/switch/full_context.h"
#include "guest/sched/switch/stack_colour.h"
#include "guest/sched/switch/switch_annotation.h"
#include "guest/sched/switch/thread_context.h"

namespace exo::guest {
namespace {

constexpr std::size_t stack_bytes = 16 * 1024;

template <class Context>
struct PingPong {
    Context home, partner;
    SwitchAnnotation home_annotation, partner_annotation;

    static void be_partner(void* argument, void* value) {
        auto& self = *static_cast<PingPong*>(argument);
        for (;;) {
            self.partner_annotation.arrived();
            const auto answer = reinterpret_cast<std::uintptr_t>(value) + 1;
            self.partner_annotation.before_switch_to(self.home_annotation);
            value = switch_context(self.partner, self.home, reinterpret_cast<void*>(answer));
        }
    }
};

/// With values of the test's own live over every switch.
template <class Context>
void ten_thousand_switches(TestReport& report) {
    const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[stack_bytes]);
    if (!report.expect(memory != nullptr, "no memory for a stack")) return;
    const std::span<std::byte> stack(memory.get(), stack_bytes);
    PingPong<Context> both;
    both.home_annotation.adopt_running();
    both.partner_annotation.created(stack);
    both.partner = prepare_context<Context>(colour_stack(stack, 5), PingPong<Context>::be_partner, &both);
    std::uintptr_t count = 0;
    std::uint64_t a = 1, b = 2, c = 3, d = 4;
    for (unsigned i = 0; i < 5'000; ++i) {
        a += b, b += c, c += d, d += i;
        both.home_annotation.before_switch_to(both.partner_annotation);
        count = reinterpret_cast<std::uintptr_t>(
            switch_context(both.home, both.partner, reinterpret_cast<void*>(count)));
        both.home_annotation.arrived();
    }
    both.partner_annotation.destroyed();
    std::array<std::uint64_t, 4> expected{1, 2, 3, 4};
    for (unsigned i = 0; i < 5'000; ++i) {
        for (unsigned at = 0; at < 3; ++at) expected[at] += expected[at + 1];
        expected[3] += i;
    }
    report.expect(count == 5'000, "a switch lost or repeated a value");
    report.expect(std::array{a, b, c, d} == expected, "a switch changed live values");
}

constexpr SelfTest tests[] = {
    {"switch: ten thousand of the threads' form", ten_thousand_switches<ThreadContext>},
    {"switch: ten thousand of the full form", ten_thousand_switches<FullContext>},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
