#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace exo::guest {

/// The lines typed last, oldest first forgotten.
class History {
  public:
    static constexpr std::size_t max_lines = 32;
    static constexpr std::size_t max_length = 256;

    /// Keeps a line, unless it is empty, too long, or the same as the one before.
    void add(std::string_view line) {
        if (line.empty() || line.size() > max_length || at(0) == line) return;
        Line& slot = lines_[added_++ % max_lines];
        std::ranges::copy(line, slot.text.begin());
        slot.size = line.size();
    }

    /// The line typed `back` lines before the last one; nothing when it goes back too far.
    std::optional<std::string_view> at(std::size_t back) const {
        if (back >= std::min(added_, max_lines)) return std::nullopt;
        const Line& line = lines_[(added_ - 1 - back) % max_lines];
        return std::string_view(line.text.data(), line.size);
    }

  private:
    struct Line {
        std::array<char, max_length> text;
        std::size_t size = 0;
    };
    std::array<Line, max_lines> lines_;
    std::size_t added_ = 0;
};

}  // namespace exo::guest
