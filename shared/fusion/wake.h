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
constexpr bool should_notify(WakeWord wake, std::uint32_t before, std::uint32_t after) {
    return wake.state != WaitState::polling && after - wake.notify_at - 1 < after - before;
}

/// The notifier's part, after it has published or released `count` slots. One party writes `progress`.
/// Returns true if the waiter has to be notified now.
template <class Atomics = NativeAtomics>
bool advance_and_check(std::uint32_t& progress, std::uint32_t after, std::uint32_t count,
                       const WakeLine& wake) {
    Atomics::store_seq_cst(progress, after);
    return should_notify(WakeWord::from_word(Atomics::load_seq_cst(wake.word)), after - count, after);
}

/// The same where several parties write `progress`; of those, exactly the one that passes the asked position
/// notifies.
template <class Atomics = NativeAtomics>
bool add_and_check(std::uint32_t& progress, std::uint32_t count, const WakeLine& wake) {
    const std::uint32_t before = Atomics::fetch_add(progress, count);
    return should_notify(WakeWord::from_word(Atomics::load_seq_cst(wake.word)), before, before + count);
}

/// The waiter's part. Between announce() and the actual sleep the caller looks at the ring once more.
template <class Atomics = NativeAtomics>
class Waiter {
  public:
    Waiter(WakeLine& wake, const std::uint32_t& progress) : wake_(&wake), progress_(&progress) {}

    /// Says "about to sleep, notify when `notify_at` is passed". Reading the progress orders the caller's
    /// next look at the ring behind the announcement; its value is not needed, and not believed.
    void announce(std::uint32_t notify_at) {
        store(WakeWord{notify_at, WaitState::about_to_sleep});
        static_cast<void>(Atomics::load_seq_cst(*progress_));
    }
    /// The look found nothing: from here to wake() the waiter sleeps.
    void sleep(std::uint32_t notify_at) {
        Atomics::store_release(wake_->word, WakeWord{notify_at, WaitState::sleeping}.to_word());
    }
    /// The look found work, or the sleep is over: no notifications from here on.
    void wake() { Atomics::store_release(wake_->word, WakeWord{0, WaitState::polling}.to_word()); }

  private:
    void store(WakeWord word) { Atomics::store_seq_cst(wake_->word, word.to_word()); }

    WakeLine* wake_;
    const std::uint32_t* progress_;
};

}  // namespace exo::fusion
