#pragma once

#include <cstdint>

#include "vmm/base/clock.h"
#include "vmm/base/io_handler.h"
#include "vmm/base/state_archive.h"

namespace exo::vmm {

/// What a pass over the queues leaves behind where it finds nothing more.
enum class Pass : std::uint8_t {
    rest,  ///< the guest is asked for doorbells: the thread is about to sleep
    poll   ///< the guest is asked for none: the thread looks again by itself
};

/// A device that takes work from queues in guest memory: vCPUs use its registers, one thread calls service().
class QueueDevice : public IoHandler {
  public:
    /// Before the guest runs; the line outlives the device.
    virtual void connect_interrupt(std::uint32_t vector, InterruptLine& line) = 0;

    virtual std::uint32_t queue_count() const = 0;
    /// An eventfd that stands for the guest's doorbell of that queue: for ioeventfd, and for the thread to
    /// wait on. Nobody empties it so that the thread could miss it: wait edge-triggered.
    virtual int doorbell_fd(std::uint32_t queue) const = 0;
    /// An eventfd that tells of completions, -1 for a device that completes within service().
    virtual int completion_fd() const = 0;

    /// One bounded pass over the queues, by one thread at a time. `rest`: to be called after a doorbell or a
    /// completion, and again while it returns true; when it returns false, all that can happen next is
    /// announced by one of the descriptors, or by deadline(). `poll`: true when it found anything; before the
    /// thread sleeps there must be a pass to rest.
    virtual bool service(Pass pass) = 0;
    bool service() { return service(Pass::rest); }
    /// For the same thread, after a pass: when the next one is due whatever happens, by the device's clock.
    virtual Deadline deadline() const { return {}; }

    /// As the guest's own reset. The device reads no queue any more when this returns, and touches no guest
    /// memory once it is quiescent().
    virtual void reset() = 0;
    /// No work is under way.
    virtual bool quiescent() const = 0;

    /// Saves or loads registers and queues; what lies in the queues is in the guest's memory, which is there
    /// already. Doorbells that are on their way are no part of it: every queue gets one when it is loaded.
    /// While neither the guest nor the thread runs, with no work under way.
    virtual void exchange_state(StateArchive& archive) = 0;
};

}  // namespace exo::vmm
