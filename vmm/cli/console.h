#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "vmm/base/event_fd.h"
#include "vmm/cli/escape.h"
#include "vmm/cli/output_queue.h"
#include "vmm/cli/signals.h"
#include "vmm/cli/terminal.h"
#include "vmm/machine/serial.h"

namespace exo::vmm {

/// Joins the guest's serial port to standard input and output. On a terminal every key goes to the guest but
/// the escape. What comes from a pipe or file is kept until the guest is ready for it, as firmware would
/// swallow it.
class Console {
  public:
    enum class Outcome : std::uint8_t {
        ended,      ///< the machine ended
        quit,       ///< the user's escape
        snapshot,   ///< the user wants one: by the escape, or by SIGUSR1
        attention,  ///< call_attention()
        signal,     ///< a signal; `Signals` tells which
        no_output   ///< nobody reads standard output any more
    };

    Console(const EventFd& wake, Signals& signals) : wake_(wake), signals_(signals), output_(wake) {}

    SerialOutput& output() { return output_; }
    /// From any thread: input may be handed over from now on.
    void guest_ready();

    /// From any thread: serve() returns soon.
    void call_attention();

    /// Before the guest runs on this port.
    void attach(Serial& serial);

    /// Serves the machine whose port this is until `ended_fd` is readable, or there is another reason to
    /// stop. The main thread's work; the caller ends the machine.
    Outcome serve(Serial& serial, int ended_fd);
    /// Writes all output that is left, when no vCPU runs any more.
    Outcome drain();

  private:
    bool wants_input() const;
    void read_input();
    void hand_over_input(Serial& serial);
    bool write_output(Serial& serial);
    bool write_chunk();

    const EventFd& wake_;
    Signals& signals_;
    OutputQueue output_;
    RawTerminal terminal_;
    EscapeFilter escape_;
    std::vector<std::byte> input_;  ///< read, and not yet taken by the serial port
    bool input_open_ = true;
    bool quit_ = false;
    bool snapshot_ = false;
    std::atomic<bool> attention_ = false;
    std::atomic<bool> guest_ready_ = false;
};

}  // namespace exo::vmm
