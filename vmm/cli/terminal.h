#pragma once

namespace exo::vmm {

/// Gives the guest every key as it is typed, for as long as it lives, when standard input is a terminal;
/// otherwise does nothing. The terminal gets its old mode back even when the program crashes. One at a time.
class RawTerminal {
  public:
    RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    ~RawTerminal();

    /// Gives the terminal its old mode back if one is raw; in a signal handler too.
    static void restore_now();

    /// Standard input is a terminal.
    bool active() const { return active_; }
    /// After the shell may have changed the mode (the process was stopped and goes on).
    void set_again() const;

  private:
    bool active_ = false;
};

}  // namespace exo::vmm
