#include "guest/kernel/line_editor.h"

#include <algorithm>
#include <utility>

#include "guest/kernel/format.h"

namespace exo::guest {
namespace {

constexpr char ctrl(char letter) {
    return static_cast<char>(letter & 0x1f);
}
constexpr char escape = 0x1b;
constexpr char delete_key = 0x7f;
constexpr std::size_t max_candidates = 64;

std::size_t common_prefix(std::span<const std::string_view> words) {
    std::size_t length = words.front().size();
    for (const std::string_view word : words) {
        const auto [a, b] = std::ranges::mismatch(words.front(), word);
        length = std::min(length, static_cast<std::size_t>(b - word.begin()));
    }
    return length;
}

}  // namespace

void LineEditor::begin() {
    size_ = cursor_ = scroll_ = back_ = 0;
    escape_ = Escape::none;
    out_.write(prompt_);
}

LineEditor::Event LineEditor::feed(char c) {
    // Terminals end a line with CR, files with LF, some with both.
    const bool second_half = std::exchange(after_return_, c == '\r') && c == '\n';
    if (second_half) return Event::none;
    switch (escape_) {
        case Escape::none:
            break;
        case Escape::started:
            parameter_ = 0;
            escape_ = c == '[' ? Escape::sequence : c == 'O' ? Escape::single : Escape::none;
            return Event::none;
        case Escape::sequence:
            if (c >= '0' && c <= '9') {
                parameter_ = std::min(parameter_ * 10 + static_cast<unsigned>(c - '0'), 999u);
                return Event::none;
            }
            if (c == ';') {
                parameter_ = 0;
                return Event::none;
            }
            [[fallthrough]];
        case Escape::single:
            escape_ = Escape::none;
            escape_sequence(c);
            return Event::none;
    }
    if (c >= ' ' && c <= '~') {
        insert(c);
        return Event::none;
    }
    return control(c);
}

LineEditor::Event LineEditor::control(char c) {
    switch (c) {
        case '\r':
        case '\n':
            move_to(size_);
            out_.write("\n");
            history_.add(line());
            return Event::line;
        case '\t':
            complete();
            break;
        case '\b':
        case delete_key:
            if (cursor_ > 0) erase(cursor_ - 1, cursor_);
            break;
        case escape:
            escape_ = Escape::started;
            break;
        case ctrl('A'):
            move_to(0);
            break;
        case ctrl('E'):
            move_to(size_);
            break;
        case ctrl('B'):
            move_to(cursor_ - (cursor_ > 0));
            break;
        case ctrl('F'):
            move_to(cursor_ + 1);
            break;
        case ctrl('U'):
            erase(0, cursor_);
            break;
        case ctrl('K'):
            erase(cursor_, size_);
            break;
        case ctrl('W'):
            erase_word_before();
            break;
        case ctrl('P'):
            browse(true);
            break;
        case ctrl('N'):
            browse(false);
            break;
        case ctrl('L'):
            out_.write("\x1b[H\x1b[2J");
            redraw();
            break;
        case ctrl('C'):
            out_.write("^C\n");
            return Event::cancel;
        case ctrl('D'):
            if (size_ == 0) {
                out_.write("\n");
                return Event::leave;
            }
            erase(cursor_, cursor_ + 1);
            break;
        default:
            bell();
            break;
    }
    return Event::none;
}

void LineEditor::escape_sequence(char last) {
    switch (last) {
        case 'A':
            return browse(true);
        case 'B':
            return browse(false);
        case 'C':
            return move_to(cursor_ + 1);
        case 'D':
            return move_to(cursor_ - (cursor_ > 0));
        case 'H':
            return move_to(0);
        case 'F':
            return move_to(size_);
        case '~':
            if (parameter_ == 1 || parameter_ == 7) return move_to(0);
            if (parameter_ == 4 || parameter_ == 8) return move_to(size_);
            if (parameter_ == 3) return erase(cursor_, cursor_ + 1);
            break;
        default:
            break;
    }
}

void LineEditor::insert(char c) {
    if (size_ == max_length) return bell();
    std::copy_backward(text_.begin() + cursor_, text_.begin() + size_, text_.begin() + size_ + 1);
    text_[cursor_++] = c;
    ++size_;
    if (cursor_ == size_ && size_ - scroll_ <= window())
        out_.write({&c, 1});
    else
        redraw();
}

void LineEditor::erase(std::size_t from, std::size_t to) {
    to = std::min(to, size_);
    if (from >= to) return;
    const bool last_character = to == size_ && cursor_ == size_ && to - from == 1 && scroll_ == 0;
    std::copy(text_.begin() + to, text_.begin() + size_, text_.begin() + from);
    size_ -= to - from;
    if (cursor_ > from) cursor_ = from;
    if (last_character)
        out_.write("\b \b");
    else
        redraw();
}

void LineEditor::erase_word_before() {
    std::size_t start = cursor_;
    while (start > 0 && text_[start - 1] == ' ') --start;
    while (start > 0 && text_[start - 1] != ' ') --start;
    erase(start, cursor_);
}

void LineEditor::move_to(std::size_t position) {
    position = std::min(position, size_);
    if (position == cursor_) return;
    const bool visible = position >= scroll_ && position - scroll_ <= window();
    if (visible && position < cursor_) format(out_, "\x1b[{}D", cursor_ - position);
    if (visible && position > cursor_) format(out_, "\x1b[{}C", position - cursor_);
    cursor_ = position;
    if (!visible) redraw();
}

void LineEditor::browse(bool older) {
    if (!older && back_ == 0) return bell();
    if (older && !history_.at(back_)) return bell();
    if (back_ == 0) {
        typed_ = text_;
        typed_size_ = size_;
    }
    back_ += older ? 1 : -std::size_t{1};
    set_line(back_ == 0 ? std::string_view(typed_.data(), typed_size_) : *history_.at(back_ - 1));
}

void LineEditor::set_line(std::string_view text) {
    std::ranges::copy(text, text_.begin());
    size_ = cursor_ = text.size();
    redraw();
}

void LineEditor::complete() {
    const std::string_view before = line().substr(0, cursor_);
    const std::string_view word = before.substr(before.rfind(' ') + 1);
    std::array<std::string_view, max_candidates> storage;
    const std::size_t count = completer_.complete(before, storage);
    if (count == 0) return bell();
    const auto found = std::span(storage).first(std::min(count, max_candidates));
    const std::size_t common = common_prefix(found);
    const std::string_view addition = found.front().substr(word.size(), common - word.size());
    for (const char c : addition) insert(c);
    if (found.size() == 1) return insert(' ');
    if (!addition.empty()) return;
    out_.write("\n");
    for (const std::string_view candidate : found) format(out_, "{}  ", candidate);
    out_.write("\n");
    redraw();
}

void LineEditor::redraw() {
    if (cursor_ < scroll_) scroll_ = cursor_;
    // By half a window at once, so that what is typed next need not draw the line anew.
    if (cursor_ - scroll_ > window()) scroll_ = cursor_ - window() / 2;
    const std::string_view shown = line().substr(scroll_, window());
    format(out_, "\r{}{}\x1b[K", prompt_, shown);
    const std::size_t left = shown.size() - (cursor_ - scroll_);
    if (left > 0) format(out_, "\x1b[{}D", left);
}

}  // namespace exo::guest
