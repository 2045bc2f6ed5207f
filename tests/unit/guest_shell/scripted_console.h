#pragma once

#include <deque>
#include <string>

#include "guest/kernel/console.h"

namespace exo::guest::test {

/// A terminal whose keys are known beforehand. When they are used up, Ctrl-D is pressed.
class ScriptedConsole final : public Console {
  public:
    explicit ScriptedConsole(std::string_view keys = {}) : keys_(keys.begin(), keys.end()) {}

    void write(std::string_view text) override { output += text; }
    std::optional<char> read() override {
        if (keys_.empty()) return std::nullopt;
        const char c = keys_.front();
        keys_.pop_front();
        return c;
    }
    bool wait_for_input(std::uint64_t) override {
        if (keys_.empty()) press("\x04");
        return true;
    }
    void press(std::string_view keys) { keys_.insert(keys_.end(), keys.begin(), keys.end()); }

    std::string output;

  private:
    std::deque<char> keys_;
};

}  // namespace exo::guest::test
