#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "guest/kernel/error.h"

namespace exo::guest {

/// A command line cut into words. Blanks separate words, except in double quotes; in quotes \" stands for a
/// quote and \\ for a backslash. A semicolon outside of quotes ends the command.
class CommandWords {
  public:
    static constexpr std::size_t max_words = 32;
    static constexpr std::size_t max_length = 1024;  ///< characters of all words

    /// Reads one command from the front of `line`, and leaves what follows its semicolon.
    Result<void> parse(std::string_view& line);

    /// The command's name and its arguments; empty for an empty command.
    std::span<const std::string_view> words() const { return {words_.data(), count_}; }

  private:
    Result<std::string_view> parse_word(std::string_view& line);

    std::array<char, max_length> text_;
    std::size_t used_ = 0;
    std::array<std::string_view, max_words> words_;
    std::size_t count_ = 0;
};

}  // namespace exo::guest
