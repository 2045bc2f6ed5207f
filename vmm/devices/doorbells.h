#pragma once

#include <cstdint>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/event_fd.h"

namespace exo::vmm {

/// The doorbells of a device, one a queue, as eventfds that KVM signals (ioeventfd).
class Doorbells {
  public:
    static Result<Doorbells> create(std::uint32_t count) {
        Doorbells doorbells;
        for (std::uint32_t i = 0; i < count; ++i) {
            auto event = EventFd::create();
            if (!event) return std::unexpected(event.error());
            doorbells.bells_.push_back({.event = std::move(*event)});
        }
        return doorbells;
    }

    std::uint32_t count() const { return static_cast<std::uint32_t>(bells_.size()); }
    int fd(std::uint32_t queue) const { return bells_[queue].event.get(); }
    /// From any thread.
    void ring(std::uint32_t queue) const { bells_[queue].event.signal(); }

    /// How often the guest has rung so far. It may wake who waits for nothing: emptied, a descriptor hides a
    /// doorbell from a thread that has not looked yet, so it is rung once more, which is not counted the next
    /// time. One thread at a time.
    std::uint64_t rung() {
        std::uint64_t sum = 0;
        for (Bell& bell : bells_) {
            if (const std::uint64_t signals = bell.event.drain(); signals > 0) {
                bell.rung += signals - bell.own;
                bell.own = 1;
                bell.event.signal();
            }
            sum += bell.rung;
        }
        return sum;
    }

  private:
    struct Bell {
        EventFd event;
        std::uint64_t rung = 0;
        std::uint64_t own = 0;  ///< rung by rung(), and still in the descriptor
    };
    std::vector<Bell> bells_;
};

}  // namespace exo::vmm
