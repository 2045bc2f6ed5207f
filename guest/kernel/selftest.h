#pragma once

#include <cstdint>
#include <source_location>
#include <span>
#include <string_view>

#include "guest/kernel/command_console.h"
#include "guest/kernel/format.h"

namespace exo::guest {

/// What a self-test says about what it saw. The first failure counts and is told with its place.
class TestReport {
  public:
    using Where = std::source_location;

    /// Notes a failure unless the condition holds; hands it on, so that a test can stop where to go on makes
    /// no sense. `reason` says what is wrong when it does not hold.
    bool expect(bool condition, std::string_view reason, Where where = Where::current());

    /// Notes a failure, with both values, unless they are equal.
    template <typename T, typename U>
    bool expect_equal(const T& got, const U& wanted, std::string_view reason,
                      Where where = Where::current()) {
        if (got == wanted) return true;
        return fail_with(where, "{}: got {}, wanted {}", reason, got, wanted);
    }

    /// The test does not apply to this machine; `reason` says why. It counts as passed.
    void skip(std::string_view reason) { skipped_ = reason; }

    bool failed() const { return failed_; }
    std::string_view skipped() const { return skipped_; }
    std::string_view reason() const { return reason_.view(); }
    const Where& where() const { return where_; }

    /// May the test write to disks? It restores what was there, but a crash in between would not.
    bool may_write = false;
    /// How long a test that tries things at random goes on.
    std::uint64_t stress_ns = 0;

  private:
    template <typename... Args>
    bool fail_with(const Where& where, FormatString<std::type_identity_t<Args>...> text,
                   const Args&... args) {
        if (failed_) return false;
        failed_ = true;
        where_ = where;
        format(reason_, text, args...);
        return false;
    }

    bool failed_ = false;
    std::string_view skipped_;
    FixedText<200> reason_;
    Where where_;
};

/// A test that runs inside the kernel.
struct SelfTest {
    std::string_view name;  ///< "subject: what holds"
    void (*run)(TestReport& report);
};

/// The tests of one subject. They register themselves where they are written:
///
///     constexpr SelfTest tests[] = {{"heap: what holds", function}, …};
///     constexpr SelfTestGroup group{tests};
///     [[gnu::section("exo_selftests"), gnu::used, gnu::retain]]
///     constexpr const SelfTestGroup* registration = &group;
using SelfTestGroup = std::span<const SelfTest>;

/// Every registered group, in the order in which they were linked.
std::span<const SelfTestGroup* const> registered_selftests();

struct SelfTestOptions {
    std::string_view pattern = {};  ///< run only tests whose name contains it
    bool may_write = false;
    bool json = false;
    std::uint64_t stress_ns = default_stress_ns;

    static constexpr std::uint64_t default_stress_ns = 500'000'000;
};

/// Runs the tests that match, prints one line for each, then `N passed, N failed`. How many failed; -1 when
/// none matched.
int run_selftests(std::span<const SelfTestGroup* const> groups, const SelfTestOptions& options,
                  CommandConsole& console);

}  // namespace exo::guest
