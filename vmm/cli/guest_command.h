#pragma once

#include <span>
#include <string>

namespace exo::vmm {

/// The kernel command line of options and a guest command: "options -- word word". Words are separated by one
/// space; a word that is empty or holds a space, a quote or a backslash stands in double quotes, with \" and
/// \\ for the last two. No words: no "--", and the guest starts its shell.
std::string kernel_command_line(const std::string& options, std::span<const std::string> words);

}  // namespace exo::vmm
