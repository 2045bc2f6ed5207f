#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/history.h"
#include "guest/kernel/text_sink.h"

namespace exo::guest {

/// Knows how a half-typed word may go on.
class Completer {
  public:
    virtual ~Completer() = default;
    /// Whole words that the last word of `line` may become, written to `found` from the front; their number.
    virtual std::size_t complete(std::string_view line, std::span<std::string_view> found) const = 0;
};

/// Editing of one line on a terminal that speaks ANSI escape sequences. Keys: arrows, Home, End, Backspace,
/// Delete, Tab; Ctrl-A E B F to move, Ctrl-U K W to delete, Ctrl-P N for history, Ctrl-L to clear the screen,
/// Ctrl-C to give up the line, Ctrl-D on an empty line to leave.
///
/// Typing at the end of the line echoes just what was typed, so that a log of the terminal stays readable.
class LineEditor {
  public:
    enum class Event : std::uint8_t {
        none,
        line,    ///< `line()` is complete
        cancel,  ///< Ctrl-C
        leave,   ///< Ctrl-D
    };

    static constexpr std::size_t max_length = History::max_length;
    /// The line scrolls sideways in a terminal of this many columns.
    static constexpr std::size_t columns = 80;

    LineEditor(TextSink& out, History& history, const Completer& completer, std::string_view prompt)
        : out_(out), history_(history), completer_(completer), prompt_(prompt) {}

    /// Starts a new line with the prompt.
    void begin();
    Event feed(char c);
    std::string_view line() const { return {text_.data(), size_}; }

  private:
    enum class Escape : std::uint8_t { none, started, sequence, single };

    Event control(char c);
    void escape_sequence(char last);
    void insert(char c);
    void erase(std::size_t from, std::size_t to);
    void erase_word_before();
    void move_to(std::size_t position);
    void browse(bool older);
    void set_line(std::string_view text);
    void complete();
    void redraw();
    void bell() { out_.write("\a"); }
    std::size_t window() const { return columns - 1 - prompt_.size(); }

    TextSink& out_;
    History& history_;
    const Completer& completer_;
    std::string_view prompt_;

    std::array<char, max_length> text_;
    std::size_t size_ = 0;
    std::size_t cursor_ = 0;
    std::size_t scroll_ = 0;  ///< first character shown
    Escape escape_ = Escape::none;
    unsigned parameter_ = 0;
    bool after_return_ = false;
    std::size_t back_ = 0;  ///< lines of history back from the one being typed; 0 is that one itself
    std::array<char, max_length> typed_;
    std::size_t typed_size_ = 0;
};

}  // namespace exo::guest
