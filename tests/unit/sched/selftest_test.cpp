#include <gtest/gtest.h>

#include "guest/kernel/selftest.h"
#include "tests/unit/sched/run_threads.h"

namespace exo::guest::test {
namespace {

/// What the kernel tests of its threads holds in a Linux process, too.
TEST(ThreadSelfTests, PassHere) {
    unsigned count = 0;
    for (const SelfTestGroup* group : registered_selftests()) {
        for (const SelfTest& test : *group) {
            if (!test.name.starts_with("threads: ")) continue;
            for (const unsigned cpus : {1u, 3u}) {
                TestReport report;
                report.stress_ns = SelfTestOptions::default_stress_ns;
                run_threads(cpus, [&](Scheduler&) { test.run(report); });
                EXPECT_FALSE(report.failed())
                    << test.name << ": " << report.reason() << " in line " << report.where().line();
            }
            ++count;
        }
    }
    EXPECT_GE(count, 10u);
}

}  // namespace
}  // namespace exo::guest::test
