#include <cstdint>

#include "guest/kernel/backtrace.h"
#include "guest/kernel/selftest.h"
#include "guest/kernel/symbols.h"

namespace exo::guest {
namespace {

[[gnu::noinline]] bool is_in_backtrace(std::string_view wanted) {
    bool found = false;
    walk_frames(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)), [&](std::uintptr_t address) {
        FixedText<200> text;
        format(text, "{}", Location{.address = address, .is_return = true});
        found = found || text.view().find(wanted) != std::string_view::npos;
    });
    return found;
}

void functions_are_found(TestReport& report) {
    const auto address = reinterpret_cast<std::uintptr_t>(&run_selftests);
    for (const std::uintptr_t offset : {0u, 1u, 8u}) {
        const auto match = kernel_symbols().find(address + offset);
        if (!report.expect(match.has_value(), "no symbol covers a function of the kernel")) return;
        report.expect(match->name.find("run_selftests") != std::string_view::npos,
                      "the symbol is of another function");
        report.expect_equal(match->offset, offset, "offset in the function");
    }
    report.expect(kernel_symbols().count() > 100, "the kernel's symbol table is hardly there");
}

void what_is_no_code_has_no_name(TestReport& report) {
    report.expect(!kernel_symbols().find(0), "there is a function at address 0");
    report.expect(!kernel_symbols().find(~std::uint64_t{0}), "there is a function at the last address");
    report.expect(!kernel_symbols().find(0xffff'8000'0000'0000), "there is a function in the direct map");
}

void a_backtrace_leads_to_the_runner(TestReport& report) {
    report.expect(is_in_backtrace("exo::guest::run_selftests"),
                  "the backtrace does not name the caller of this test");
}

constexpr SelfTest tests[] = {
    {"symbols: functions are found", functions_are_found},
    {"symbols: what is no code has no name", what_is_no_code_has_no_name},
    {"symbols: a backtrace leads to the runner", a_backtrace_leads_to_the_runner},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
