#pragma once

#include <optional>
#include <string_view>

namespace exo::guest {

/// The kernel's command line: options `name=value` or `name`, separated by blanks, then `--`, then a command
/// for the shell. Refers to the text it was made from.
class CommandLine {
  public:
    CommandLine() = default;
    explicit CommandLine(std::string_view text);

    /// The value of an option, empty for one without `=`; nothing when it is not given. The last one counts.
    std::optional<std::string_view> option(std::string_view name) const;
    /// What stands after `--`, without blanks around it; empty when there is no command.
    std::string_view command() const { return command_; }
    /// What stands before `--`.
    std::string_view options() const { return options_; }

  private:
    std::string_view options_;
    std::string_view command_;
};

}  // namespace exo::guest
