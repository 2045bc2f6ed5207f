// Threads that sleep until one of several things happens, each of which keeps a list of its sleepers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace exo::guest {

/// A variable that a lock guards. It is reached through the atomics policy, so that the explorer sees who
/// touches it when, and that the lock orders it.
template <class T, class Atomics>
class Guarded {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    T get() const {
        T value;
        Atomics::copy_from_shared(reinterpret_cast<std::byte*>(&value),
                                  reinterpret_cast<const std::byte*>(&value_), sizeof(T));
        return value;
    }
    void set(T value) {
        Atomics::copy_to_shared(reinterpret_cast<std::byte*>(&value_),
                                reinterpret_cast<const std::byte*>(&value), sizeof(T));
    }

  private:
    T value_ = {};
};

/// A thread on its way to sleep, on its own stack. Who wakes it first says why, in one word; the others look
/// for somebody else to wake. `Platform` is KernelSleep or the explorer's.
template <class Platform>
class Sleeper {
    using Atomics = typename Platform::Atomics;

  public:
    /// Nobody has woken it.
    static constexpr std::uint32_t by_nobody = 0;

    /// False when it was woken already. The thread still exists: it takes the lock of every list that it is
    /// in before it goes on, and callers hold one of them.
    bool wake(std::uint32_t reason) {
        std::uint32_t expected = by_nobody;
        if (!Atomics::compare_exchange(woken_by_, expected, reason)) return false;
        Platform::wake(thread_);
        return true;
    }
    std::uint32_t woken_by() const { return Atomics::load_acquire(woken_by_); }

    /// Returns when it has been woken or the clock has reached the deadline.
    void sleep(std::uint64_t deadline_ns) {
        Platform::sleep(deadline_ns, [this] { return woken_by() != by_nobody; });
    }

  private:
    typename Platform::ThreadReference thread_ = Platform::running();
    std::uint32_t woken_by_ = by_nobody;
};

/// A sleeper's place in one list.
template <class Platform>
struct SleeperEntry {
    Sleeper<Platform>* sleeper;
    std::uint32_t reason;  ///< what the sleeper is told when it is woken through this list; not 0

    Guarded<SleeperEntry*, typename Platform::Atomics> next = {};
    Guarded<SleeperEntry*, typename Platform::Atomics> previous = {};
    Guarded<bool, typename Platform::Atomics> listed = {};
};

/// First come, first served. Guarded by a lock of its owner.
template <class Platform>
class SleeperList {
    using Entry = SleeperEntry<Platform>;

  public:
    bool empty() const { return first_.get() == nullptr; }

    void append(Entry& entry) {
        Entry* const last = last_.get();
        entry.listed.set(true);
        entry.next.set(nullptr);
        entry.previous.set(last);
        (last == nullptr ? first_ : last->next).set(&entry);
        last_.set(&entry);
    }

    /// Nothing when it has been woken, and so removed, already.
    void remove(Entry& entry) {
        if (!entry.listed.get()) return;
        entry.listed.set(false);
        Entry* const next = entry.next.get();
        Entry* const previous = entry.previous.get();
        (previous == nullptr ? first_ : previous->next).set(next);
        (next == nullptr ? last_ : next->previous).set(previous);
    }

    /// Wakes the first that nobody else has woken. False when there is none.
    bool wake_one() {
        while (Entry* const entry = first_.get()) {
            remove(*entry);
            if (entry->sleeper->wake(entry->reason)) return true;
        }
        return false;
    }

  private:
    Guarded<Entry*, typename Platform::Atomics> first_;
    Guarded<Entry*, typename Platform::Atomics> last_;
};

}  // namespace exo::guest
