#include "guest/kernel/selftest.h"

#include <algorithm>

#include "guest/kernel/json.h"
#include "guest/kernel/services.h"

// The linker names the ends of a section whose name is a C identifier. Weak, for programs without any.
extern "C" [[gnu::weak]] const exo::guest::SelfTestGroup* const __start_exo_selftests[];
extern "C" [[gnu::weak]] const exo::guest::SelfTestGroup* const __stop_exo_selftests[];

namespace exo::guest {
namespace {

/// "guest/memory/heap.cpp": the path from the top of the project on, however the compiler was called.
std::string_view short_path(std::string_view path) {
    std::size_t start = 0;
    for (const std::string_view top : {"/guest/", "/tests/", "/shared/"})
        if (const std::size_t at = path.rfind(top); at != std::string_view::npos)
            start = std::max(start, at + 1);
    return path.substr(start);
}

void print_text(const SelfTest& test, const TestReport& report, std::uint64_t us, TextSink& out) {
    if (report.failed())
        format(out, "FAIL  {}: {} at {}:{}\n", test.name, report.reason(),
               short_path(report.where().file_name()), report.where().line());
    else if (!report.skipped().empty())
        format(out, "skip  {}: {}\n", test.name, report.skipped());
    else
        format(out, "ok    {} ({} us)\n", test.name, us);
}

void print_json(const SelfTest& test, const TestReport& report, std::uint64_t us, TextSink& out) {
    JsonLine line(out);
    line.text("test", test.name);
    line.text("result", report.failed() ? "failed" : report.skipped().empty() ? "passed" : "skipped");
    line.number("us", us);
    if (!report.skipped().empty()) line.text("reason", report.skipped());
    if (!report.failed()) return;
    line.text("reason", report.reason()).text("file", short_path(report.where().file_name()));
    line.number("line", report.where().line());
}

bool run_one(const SelfTest& test, const SelfTestOptions& options, TextSink& out) {
    TestReport report;
    report.may_write = options.may_write;
    report.stress_ns = options.stress_ns;
    const std::uint64_t start = services().time.now_ns();
    test.run(report);
    const std::uint64_t us = (services().time.now_ns() - start) / ns_per_us;
    (options.json ? print_json : print_text)(test, report, us, out);
    return !report.failed();
}

}  // namespace

std::span<const SelfTestGroup* const> registered_selftests() {
    return {__start_exo_selftests, __stop_exo_selftests};
}

bool TestReport::expect(bool condition, std::string_view reason, Where where) {
    return condition || fail_with(where, "{}", reason);
}

int run_selftests(std::span<const SelfTestGroup* const> groups, const SelfTestOptions& options,
                  CommandConsole& console) {
    unsigned passed = 0;
    unsigned failed = 0;
    for (const SelfTestGroup* group : groups) {
        for (const SelfTest& test : *group) {
            if (test.name.find(options.pattern) == std::string_view::npos) continue;
            if (console.interrupted()) break;
            ++(run_one(test, options, console) ? passed : failed);
        }
    }
    if (options.json)
        JsonLine(console).number("passed", passed).number("failed", failed);
    else
        format(console, "{} passed, {} failed\n", passed, failed);
    return passed + failed == 0 ? -1 : static_cast<int>(failed);
}

}  // namespace exo::guest
