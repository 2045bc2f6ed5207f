// The wake-up contract of a ring: when may one side sleep, and when must the other side notify it.
//
// Dekker's scheme on two named words, all four accesses sequentially consistent:
//     waiter                              notifier
//     wake word  := about to sleep, at    publish the slots (or release them)
//     read progress, look at the ring     progress   := new position
//     sleep if there is nothing           read wake word, notify if it asks for it
// At least one side sees the other's store, so a wake-up is never lost.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "shared/fusion/native_atomics.h"
#include "shared/fusion/ring_header.h"

namespace exo::fusion {

enum class WaitState : std::uint32_t {
    polling = 0,         ///< looks by itself: never notify
    about_to_sleep = 1,  ///< has not finished its last look; a notification is needed but may be spurious
    sleeping = 2,        ///< sleeps until notified
    group = 3,           ///< several may sleep: each step forward is worth a notification, whatever notify_at
};

/// The word a waiter publishes, one snapshot of state and index.
struct WakeWord {
    std::uint32_t notify_at;  ///< position whose publication (or release) is worth a notification
    WaitState state;

    static constexpr WakeWord from_word(std::uint64_t word) { return std::bit_cast<WakeWord>(word); }
    constexpr std::uint64_t to_word() const { return std::bit_cast<std::uint64_t>(*this); }
};
static_assert(sizeof(WakeWord) == 8 && offsetof(WakeWord, notify_at) == 0 && offsetof(WakeWord, state) == 4);

/// True if progress from position `before` to `after` passes the position the waiter asked for. Positions
/// wrap at 2^32. A state the contract does not know counts as sleeping: a needless notification is harmless.
constexpr bool passes(WakeWord wake, std::uint32_t before, std::uint32_t after) {
    if (wake.state == WaitState::polling) return false;
    return wake.state == WaitState::group || after - wake.notify_at - 1 < after - before;
}

/// The notifier's part where it alone writes `progress`: called after it has published or released the slots
/// before `after`. Returns true if the waiter has to be notified now.
template <class Atomics = NativeAtomics>
bool advance_and_check(std::uint32_t& progress, std::uint32_t before, std::uint32_t after,
                       const WakeLine& wake) {
    Atomics::store_seq_cst(progress, after);
    return passes(WakeWord::from_word(Atomics::load_seq_cst(wake.word)), before, after);
}

/// The same where several parties add to `progress`. They finish in any order, so a waiter cannot know which
/// of them publishes its slot: each that goes beyond what the waiter had seen notifies.
template <class Atomics = NativeAtomics>
bool add_and_check(std::uint32_t& progress, std::uint32_t count, const WakeLine& wake) {
    const std::uint32_t after = Atomics::fetch_add(progress, count) + count;
    const WakeWord word = WakeWord::from_word(Atomics::load_seq_cst(wake.word));
    if (word.state == WaitState::polling) return false;
    return word.state == WaitState::group || after - word.notify_at - 1 < (1U << 31);
}

/// The waiter's part; one party at a time waits on a wake line, or a group that takes turns under a lock.
template <class Atomics = NativeAtomics>
class Waiter {
  public:
    Waiter(WakeLine& wake, const std::uint32_t& progress) : wake_(&wake), progress_(&progress) {}

    /// Asks to be notified when position `notify_at` is passed, then looks once more by `found()`. Returns
    /// true if that found nothing: the waiter may sleep until it is notified. Of many notifiers, the next one
    /// that makes progress notifies, whatever `notify_at`.
    template <class Found>
    bool prepare(std::uint32_t notify_at, Sharing notifiers, Found found) {
        if (notifiers == Sharing::many) notify_at = Atomics::load_acquire(*progress_);
        Atomics::store_seq_cst(wake_->word, WakeWord{notify_at, WaitState::about_to_sleep}.to_word());
        // Orders the look behind the announcement; the value is not needed, and not believed.
        static_cast<void>(Atomics::load_seq_cst(*progress_));
        if (found()) {
            wake();
            return false;
        }
        Atomics::store_release(wake_->word, WakeWord{notify_at, WaitState::sleeping}.to_word());
        return true;
    }

    /// The same for one of a group, with the group's lock held: asks for a notification of every step forward
    /// until wake(), which is called, under the lock as well, when nobody sleeps any more. `first` says that
    /// nobody sleeps yet.
    template <class Found>
    bool prepare_group(bool first, Found found) {
        if (first) Atomics::store_seq_cst(wake_->word, WakeWord{0, WaitState::group}.to_word());
        static_cast<void>(Atomics::load_seq_cst(*progress_));
        if (!found()) return true;
        if (first) wake();
        return false;
    }
    /// Whether a group sleeps, or is about to. Ordered behind a claim, as the announcement is before the
    /// look.
    bool is_group() const {
        return WakeWord::from_word(Atomics::load_seq_cst(wake_->word)).state == WaitState::group;
    }

    /// The sleep is over, or was not begun: no notifications from here on.
    void wake() { Atomics::store_release(wake_->word, WakeWord{0, WaitState::polling}.to_word()); }

  private:
    WakeLine* wake_;
    const std::uint32_t* progress_;
};

}  // namespace exo::fusion
