#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "vmm/base/event_fd.h"
#include "vmm/base/mutex.h"
#include "vmm/machine/serial.h"

namespace exo::vmm {

/// What the guest has said and the console has not written yet. The guest's side never waits: a full queue
/// is a busy transmitter.
class OutputQueue final : public SerialOutput {
  public:
    static constexpr std::size_t limit = 65536;

    /// @param wake  signalled when the queue was empty and is no longer
    explicit OutputQueue(const EventFd& wake) : wake_(wake) {}

    std::size_t put(std::span<const std::byte> bytes) override;

    /// Takes the oldest bytes, at most `most`.
    std::vector<std::byte> take(std::size_t most);
    bool empty() const;
    /// Whether put() has refused bytes since the last call, and has room now.
    bool take_room_made();

  private:
    const EventFd& wake_;
    mutable Mutex mutex_;
    std::vector<std::byte> bytes_ EXO_THREAD_SAFETY(guarded_by(mutex_));
    std::size_t taken_ EXO_THREAD_SAFETY(guarded_by(mutex_)) = 0;  ///< of the front of bytes_
    bool refused_ EXO_THREAD_SAFETY(guarded_by(mutex_)) = false;
};

}  // namespace exo::vmm
