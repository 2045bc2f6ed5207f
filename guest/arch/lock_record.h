#pragma once

#include <array>
#include <cstdint>
#include <source_location>
#include <string_view>

#include "guest/arch/arch.h"

// The build says whether locks are checked (CMake: in Debug builds).
#ifndef EXO_LOCK_CHECKS
#define EXO_LOCK_CHECKS 0
#endif

namespace exo::guest {

class TextSink;

#if EXO_LOCK_CHECKS && !__STDC_HOSTED__

/// What the kernel's debug build knows of one spin lock. Locks that were made at the same place of the source
/// are of one class. A processor that takes a lock of one class while it holds one of another lays down an
/// order; who takes two in an order against which something was laid down ends the kernel, as does who takes
/// a lock that it holds, or spins without end. (In a Linux process ThreadSanitizer sees to that.)
class LockRecord {
  public:
    constexpr explicit LockRecord(std::source_location made) : made_(made) {}

    /// Before the lock is waited for.
    [[gnu::noinline]] void check_order();
    [[gnu::noinline]] void taken();
    void released();
    /// In each turn of waiting, `start` being the time stamp of the first and `turns` their number.
    void spinning(std::uint64_t start, std::uint64_t turns) const {
        if (turns > most_turns && arch::timestamp() - start > 10 * arch::timestamp_frequency())
            report_stuck(start);
    }

    /// For what waits for other processors, which may wait for a lock of this one: none may be held.
    static void expect_none_held(std::string_view what);

  private:
    /// So that a processor that merely had no time for long does not blame another.
    static constexpr std::uint64_t most_turns = 1 << 24;

    [[noreturn]] void report_stuck(std::uint64_t start) const;

    friend void format_value(TextSink& sink, const LockRecord& record);

    std::source_location made_;
    unsigned owner_ = 0;
    bool held_ = false;
    std::uint8_t lock_class_ = 0;  ///< its number plus 1, 0 before it is known
    std::uint64_t since_ = 0;
    std::array<std::uintptr_t, 4> callers_ = {};  ///< of who took it, innermost first
};

#else

class LockRecord {
  public:
    constexpr explicit LockRecord(std::source_location) {}
    void check_order() {}
    void taken() {}
    void released() {}
    void spinning(std::uint64_t, std::uint64_t) const {}
    static void expect_none_held(std::string_view) {}
};

#endif

}  // namespace exo::guest
