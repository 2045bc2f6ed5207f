#pragma once

#include <optional>

#include "vmm/base/error.h"

namespace exo::vmm {

/// Signals that end the program (SIGTERM, SIGINT, SIGHUP, SIGQUIT), SIGCONT and SIGUSR1, as something to poll
/// for. A signal also interrupts a blocking call of the main thread. SIGPIPE is ignored from then on. One at
/// a time.
class Signals {
  public:
    static Result<Signals> catch_all();
    Signals(Signals&& other) noexcept : owner_(std::exchange(other.owner_, false)) {}
    Signals& operator=(Signals&&) = delete;
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    ~Signals();

    /// Readable after a signal, until taken.
    int fd() const;
    /// The first signal that asked for the end, since the start.
    std::optional<int> end_requested() const;
    /// Whether the program was stopped and goes on, since the last call; makes fd() unreadable.
    bool take_continued();
    /// Whether SIGUSR1 has asked for a snapshot since the last call.
    bool take_snapshot_asked();

  private:
    Signals() = default;
    bool owner_ = true;
};

}  // namespace exo::vmm
