#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "guest/ipc/channel_error.h"
#include "guest/ipc/channel_policy.h"
#include "guest/ipc/selectable.h"

namespace exo::guest {

/// Waits for the first of several channels, by their receivers, senders or both:
///
///     Select select(requests, answers);
///     while (const auto which = select.wait()) {
///         if (*which == 0) handle(requests.try_receive()) …
///
/// The ends stay where they are while it lives. It is fair: after an end was named, all others are looked at
/// before it is named again.
template <class Platform, std::size_t count>
class BasicSelect {
  public:
    template <class... Ends>
    explicit BasicSelect(Ends&... ends) : ends_{&ends...} {
        enabled_.set();
    }

    /// The number of an end that is ready: its operation can be done, or tells that the channel is closed.
    /// The caller tries it, without waiting; where several threads share a side it may find that another one
    /// was faster. Errors: timed_out; closed when every end is disabled.
    std::expected<std::size_t, ChannelError> wait(std::uint64_t deadline_ns) {
        if (enabled_.none()) return std::unexpected(ChannelError::closed);
        for (;;) {
            if (const std::size_t ready = find_ready(); ready != none) return name(ready);
            if (deadline_ns == no_wait) return std::unexpected(ChannelError::timed_out);
            const std::size_t woken = sleep(deadline_ns);
            // Who was woken by an end sees to that one, because nobody else was woken for it.
            if (woken != none && ends_[woken]->is_ready()) return name(woken);
            if (woken == none) deadline_ns = no_wait;
        }
    }

    /// Leaves an end out, as one does with a channel that is closed.
    void disable(std::size_t end) { enabled_.reset(end); }
    void enable(std::size_t end) { enabled_.set(end); }

  private:
    static constexpr std::size_t none = ~std::size_t{0};

    std::size_t name(std::size_t end) {
        next_ = (end + 1) % count;
        return end;
    }

    std::size_t find_ready() {
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t end = (next_ + i) % count;
            if (enabled_[end] && ends_[end]->is_ready()) return end;
        }
        return none;
    }

    /// Which end woke this thread, or was found ready on the way; none at the deadline.
    std::size_t sleep(std::uint64_t deadline_ns) {
        Sleeper<Platform> self;
        std::array<SleeperEntry<Platform>, count> entries;
        std::size_t ready = none;
        std::size_t tried = 0;
        for (; tried < count && ready == none; ++tried) {
            entries[tried].sleeper = &self;
            entries[tried].reason = static_cast<std::uint32_t>(tried + 1);
            if (enabled_[tried] && !ends_[tried]->enlist(entries[tried])) ready = tried;
        }
        if (ready == none) self.sleep(deadline_ns);
        for (std::size_t end = 0; end < tried; ++end)
            if (enabled_[end] && end != ready) ends_[end]->delist(entries[end]);
        const std::uint32_t woken = self.woken_by();
        return woken != Sleeper<Platform>::by_nobody ? woken - 1 : ready;
    }

    std::array<Selectable<Platform>*, count> ends_;
    std::bitset<count> enabled_;
    std::size_t next_ = 0;
};

}  // namespace exo::guest
