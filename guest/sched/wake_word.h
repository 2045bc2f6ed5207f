// The hand-shake between a thread that goes to sleep and who wakes it. It runs in the exhaustive explorer.
#pragma once

#include <cstdint>

namespace exo::guest {

/// One for each thread. A wake-up leaves a token: it is never lost, however early it comes, and several make
/// one. A thread that finds a token does not sleep.
///
///     sleeper                                     waker
///     queue itself where the waker will look      make the condition true
///     condition true? then go on                  notify(): was the thread parked? then it is the waker's
///     take_token()? then go on                      to put it into a run queue, and nobody else's
///     switch to another thread; behind the
///     switch, on that thread's stack: park();
///       refused? then it is ready again
///
/// Since the thread is parked only when nothing runs on its stack any more, no second CPU can ever run it too
/// early, and nobody waits for a switch to be over.
///
/// `Atomics` is a policy like fusion::NativeAtomics.
template <class Atomics>
class WakeWord {
  public:
    /// The thread itself: takes the token back if there is one.
    bool take_token() {
        std::uint32_t expected = notified;
        return Atomics::compare_exchange(word_, expected, awake);
    }

    /// Behind the switch away from the thread. False: it has been notified meanwhile, and the caller owns it.
    bool park() {
        std::uint32_t expected = awake;
        return Atomics::compare_exchange(word_, expected, parked);
    }

    /// Anybody. True: the thread was parked, and the caller owns it now. The word is written even when the
    /// token is there already: who takes that token then also sees what this waker did before.
    bool notify() {
        std::uint32_t before = Atomics::load_relaxed(word_);
        while (!Atomics::compare_exchange(word_, before, notified)) {
        }
        return before == parked;
    }

  private:
    static constexpr std::uint32_t awake = 0, notified = 1, parked = 2;

    std::uint32_t word_ = awake;
};

}  // namespace exo::guest
