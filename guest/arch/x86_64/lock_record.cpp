#include "guest/arch/lock_record.h"

#if EXO_LOCK_CHECKS

#include <array>
#include <bit>
#include <cstddef>

#include "guest/drivers/clock/calibration.h"
#include "guest/kernel/panic.h"

namespace exo::guest {
namespace {

using Callers = std::array<std::uintptr_t, 4>;

/// Who called whom, from the function with that frame outwards.
Callers callers_of(const void* frame) {
    constexpr std::uintptr_t farthest = 1 << 20;
    Callers callers = {};
    auto at = reinterpret_cast<std::uintptr_t>(frame);
    for (std::uintptr_t& caller : callers) {
        const auto* const words = reinterpret_cast<const std::uintptr_t*>(at);
        caller = words[1];
        if (words[0] <= at || words[0] - at > farthest) break;
        at = words[0];
    }
    return callers;
}

struct CalledBy {
    const Callers& callers;
};
void format_value(TextSink& sink, const CalledBy& by) {
    for (const std::uintptr_t caller : by.callers)
        if (caller != 0)
            format(sink, "\n  {:#018x}  {}", caller, Location{.address = caller, .is_return = true});
}

/// Locks that one processor holds, in the order in which it took them.
struct HeldLocks {
    static constexpr std::size_t most = 16;
    std::array<const LockRecord*, most> locks = {};
    std::array<std::uint8_t, most> classes = {};
    std::size_t count = 0;
};
constinit std::array<HeldLocks, arch::maximum_cpus> held_by = {};

/// "Whoever holds one of class `first` may take one of class `second`", and where that was seen first. What
/// does not fit is not checked.
class LockOrders {
  public:
    static constexpr unsigned most = 64;

    /// The class's number plus 1, 0 when there are too many.
    std::uint8_t class_of(const std::source_location& made) {
        for (unsigned i = 0; i < count_; ++i)
            if (made_[i].line() == made.line() && made_[i].file_name() == made.file_name())
                return static_cast<std::uint8_t>(i + 1);
        if (count_ == most) return 0;
        made_[count_] = made;
        return static_cast<std::uint8_t>(++count_);
    }

    bool leads(unsigned from, unsigned to) const {
        std::uint64_t reached = bit(from);
        for (std::uint64_t before = 0; before != reached;) {
            before = reached;
            for (std::uint64_t rest = before; rest != 0; rest &= rest - 1)
                reached |= after_[static_cast<unsigned>(std::countr_zero(rest))];
        }
        return (reached & bit(to)) != 0;
    }

    void add(unsigned first, unsigned second, const Callers& callers) {
        if ((after_[first] & bit(second)) != 0) return;
        after_[first] |= bit(second);
        seen_[first][second] = callers;
    }
    /// The one that was laid down when the second was taken; nobody, where it only follows from others.
    const Callers& seen(unsigned first, unsigned second) const { return seen_[first][second]; }

    void lock() {
        while (__atomic_exchange_n(&taken_, true, __ATOMIC_ACQUIRE)) arch::pause();
    }
    void unlock() { __atomic_store_n(&taken_, false, __ATOMIC_RELEASE); }

  private:
    static constexpr std::uint64_t bit(unsigned lock_class) { return std::uint64_t{1} << lock_class; }

    std::array<std::source_location, most> made_ = {};
    std::array<std::uint64_t, most> after_ = {};
    std::array<std::array<Callers, most>, most> seen_ = {};
    unsigned count_ = 0;
    bool taken_ = false;
};
constinit LockOrders orders;

std::uint64_t ms_since(std::uint64_t start) {
    return (arch::timestamp() - start) / (arch::timestamp_frequency() / 1'000 + 1);
}

}  // namespace

void format_value(TextSink& sink, const LockRecord& record) {
    format(sink, "the spin lock of {}:{}", record.made_.file_name(), record.made_.line());
}

void LockRecord::check_order() {
    HeldLocks& held = held_by[arch::current_cpu()];
    if (held_ && owner_ == arch::current_cpu())
        panic("{} is taken twice by one processor, first by{}", *this, CalledBy{callers_});
    const Callers callers = callers_of(__builtin_frame_address(0));
    const LockRecord* conflict = nullptr;
    Callers seen = {};
    orders.lock();
    if (lock_class_ == 0) lock_class_ = orders.class_of(made_);
    for (std::size_t i = 0; lock_class_ != 0 && i < held.count; ++i) {
        if (held.classes[i] == 0 || held.classes[i] == lock_class_) continue;
        const unsigned first = held.classes[i] - 1u;
        const unsigned second = lock_class_ - 1u;
        if (orders.leads(second, first)) {
            conflict = held.locks[i];
            seen = orders.seen(second, first);
        }
        orders.add(first, second, callers);
    }
    orders.unlock();
    if (conflict != nullptr)
        panic("{} is taken by who holds {}; elsewhere it is the other order:{}", *this, *conflict,
              CalledBy{seen});
}

void LockRecord::taken() {
    HeldLocks& held = held_by[arch::current_cpu()];
    owner_ = arch::current_cpu();
    held_ = true;
    since_ = arch::timestamp();
    callers_ = callers_of(__builtin_frame_address(0));
    if (held.count == HeldLocks::most) return;
    held.locks[held.count] = this;
    held.classes[held.count++] = lock_class_;
}

void LockRecord::released() {
    held_ = false;
    HeldLocks& held = held_by[arch::current_cpu()];
    for (std::size_t i = held.count; i-- > 0;) {
        if (held.locks[i] != this) continue;
        for (--held.count; i < held.count; ++i) {
            held.locks[i] = held.locks[i + 1];
            held.classes[i] = held.classes[i + 1];
        }
        return;
    }
}

void LockRecord::report_stuck(std::uint64_t start) const {
    panic("{}: waited for it for {} ms; cpu {} has held it for {} ms, taken by{}", *this, ms_since(start),
          owner_, ms_since(since_), CalledBy{callers_});
}

void LockRecord::expect_none_held(std::string_view what) {
    const arch::InterruptGuard guard;
    const HeldLocks& held = held_by[arch::current_cpu()];
    if (held.count != 0)
        panic("{} while {} is held, which another processor may be waiting for with interrupts off", what,
              *held.locks[held.count - 1]);
}

}  // namespace exo::guest

#endif
