// Carries bytes, signals and the window size between the host and the command until the command ends.
#pragma once

#include <optional>
#include <string>

#include "channel.h"
#include "command.h"

namespace exo::box {

class Session {
  public:
    /// `deaths` is a signalfd for SIGCHLD. Owns nothing: the box ends with the session.
    Session(Channel& channel, const Command& command, bool terminal, int deaths)
        : channel_(channel), command_(command), terminal_(terminal), deaths_(deaths) {}

    /// The exit status (128 + N for a command killed by signal N), or nothing when the host is gone.
    std::optional<int> run();

  private:
    bool step();
    void take_frames();
    void handle(const Frame& frame);
    void feed();
    void stop_feeding();
    void relay(int& source, Message message);
    void reap();
    void drain();

    Channel& channel_;
    Command command_;
    bool terminal_;
    int deaths_;
    std::string input_;
    bool input_ended_ = false;
    std::optional<int> status_;
};

}  // namespace exo::box
