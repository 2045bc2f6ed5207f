#include "guest/kernel/line_editor.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace exo::guest::test {
namespace {

/// One line of a terminal, as far as the editor uses it.
class Terminal final : public TextSink {
  public:
    void write(std::string_view text) override {
        for (const char c : text) put(c);
    }
    std::string screen() const { return line_.substr(0, line_.find_last_not_of(' ') + 1); }
    std::size_t cursor() const { return cursor_; }
    std::vector<std::string> lines_above;
    int bells = 0;
    int clears = 0;

  private:
    void put(char c) {
        if (!sequence_.empty()) {
            sequence_ += c;
            if (sequence_.size() > 2 && std::isalpha(c) != 0) {
                run(sequence_.back(), sequence_.substr(2, sequence_.size() - 3));
                sequence_.clear();
            }
        } else if (c == '\x1b') {
            sequence_ = "\x1b";
        } else if (c == '\r') {
            cursor_ = 0;
        } else if (c == '\b') {
            ASSERT_GT(cursor_, 0u);
            --cursor_;
        } else if (c == '\a') {
            ++bells;
        } else if (c == '\n') {
            lines_above.push_back(screen());
            line_.assign(80, ' ');
            cursor_ = 0;
        } else {
            ASSERT_LT(cursor_, 80u) << "the line wrapped";
            line_[cursor_++] = c;
        }
    }
    void run(char last, const std::string& parameter) {
        if (last == 'K') {
            line_.replace(cursor_, 80 - cursor_, 80 - cursor_, ' ');
        } else if (last == 'D') {
            const auto count = static_cast<std::size_t>(std::stoul(parameter));
            ASSERT_LE(count, cursor_);
            cursor_ -= count;
        } else if (last == 'C') {
            cursor_ += static_cast<std::size_t>(std::stoul(parameter));
            ASSERT_LE(cursor_, 80u);
        } else if (last == 'J') {
            line_.assign(80, ' ');
            ++clears;
        } else if (last == 'H') {
            cursor_ = 0;
        } else {
            ADD_FAILURE() << "an unknown sequence ending in " << last;
        }
    }
    std::string line_ = std::string(80, ' ');
    std::string sequence_;
    std::size_t cursor_ = 0;
};

class Words final : public Completer {
  public:
    std::size_t complete(std::string_view line, std::span<std::string_view> found) const override {
        const std::string_view word = line.substr(line.rfind(' ') + 1);
        std::size_t count = 0;
        for (const std::string_view candidate : {"disks", "poweroff", "selftest", "sum", "summary"})
            if (candidate.starts_with(word)) found[count++] = candidate;
        return count;
    }
};

struct LineEditorTest : testing::Test {
    Terminal terminal;
    History history;
    Words words;
    LineEditor editor{terminal, history, words, "exo> "};
    LineEditor::Event last = LineEditor::Event::none;

    LineEditorTest() { editor.begin(); }
    void press(std::string_view keys) {
        for (const char c : keys) last = editor.feed(c);
    }
    void enter(std::string_view line) {
        press(line);
        press("\r");
        editor.begin();
    }
};

constexpr std::string_view left = "\x1b[D", right = "\x1b[C", up = "\x1b[A", down = "\x1b[B", home = "\x1b[H",
                           end = "\x1b[F", del = "\x1b[3~";

TEST_F(LineEditorTest, EchoesWhatIsTypedAndNothingElse) {
    struct Log final : TextSink {
        void write(std::string_view text) override { all += text; }
        std::string all;
    } log;
    LineEditor plain(log, history, words, "exo> ");
    plain.begin();
    for (const char c : std::string_view("sum\x7f\x7fun 0\n")) plain.feed(c);
    EXPECT_EQ("exo> sum\b \b\b \bun 0\n", log.all);
    EXPECT_EQ("sun 0", plain.line());
}

TEST_F(LineEditorTest, EndsLinesByReturnLineFeedOrBoth) {
    press("ab\r");
    EXPECT_EQ(LineEditor::Event::line, last);
    EXPECT_EQ("ab", editor.line());
    editor.begin();
    press("\n");
    EXPECT_EQ(LineEditor::Event::none, last) << "the second half of CR LF";
    press("c\n");
    EXPECT_EQ(LineEditor::Event::line, last);
    EXPECT_EQ("c", editor.line());
    editor.begin();
    press("\n");
    EXPECT_EQ(LineEditor::Event::line, last);
}

TEST_F(LineEditorTest, MovesAndEdits) {
    press("hello");
    for (int i = 0; i < 3; ++i) press(left);
    press("XY");
    EXPECT_EQ("heXYllo", editor.line());
    EXPECT_EQ("exo> heXYllo", terminal.screen());
    EXPECT_EQ(9u, terminal.cursor());
    press(home);
    press(del);
    press(end);
    press("\x7f");
    EXPECT_EQ("eXYll", editor.line());
    press(
        "\x01"
        "a\x05"
        "z\x02\x06");
    EXPECT_EQ("aeXYllz", editor.line());
    EXPECT_EQ("exo> aeXYllz", terminal.screen());
    press("\x1bOH\x1bOC\x1b[7~\x1b[8~\x1b[1;5D!");
    EXPECT_EQ("aeXYll!z", editor.line());
}

TEST_F(LineEditorTest, DeletesToTheEndsAndByWords) {
    press("one two  three");
    press("\x17");
    EXPECT_EQ("one two  ", editor.line());
    press("\x17");
    EXPECT_EQ("one ", editor.line());
    press(home);
    press(right);
    press("\x0b");
    EXPECT_EQ("o", editor.line());
    press("pq");
    press(left);
    press("\x15");
    EXPECT_EQ("q", editor.line());
    EXPECT_EQ("exo> q", terminal.screen());
    press("\x04");
    EXPECT_EQ("", editor.line());
    press("\x04");
    EXPECT_EQ(LineEditor::Event::leave, last);
}

TEST_F(LineEditorTest, BrowsesHistoryAndComesBackToTheLineBeingTyped) {
    enter("first");
    enter("second");
    enter("second");
    enter("");
    press("half");
    press(up);
    EXPECT_EQ("second", editor.line());
    press(up);
    EXPECT_EQ("first", editor.line());
    press(up);
    EXPECT_EQ("first", editor.line());
    EXPECT_EQ(1, terminal.bells);
    press(down);
    press(down);
    EXPECT_EQ("half", editor.line());
    press("\x0e\x10\x10");
    EXPECT_EQ("first", editor.line());
    EXPECT_EQ("exo> first", terminal.screen());
}

TEST_F(LineEditorTest, HistoryForgetsTheOldest) {
    for (int i = 0; i < 40; ++i) enter("line " + std::to_string(i));
    for (int i = 0; i < 50; ++i) press(up);
    EXPECT_EQ("line 8", editor.line());
}

TEST_F(LineEditorTest, CompletesWords) {
    press("d\t");
    EXPECT_EQ("disks ", editor.line());
    press("\x15su\t");
    EXPECT_EQ("sum", editor.line());
    press("\t");
    EXPECT_EQ("sum", editor.line());
    EXPECT_EQ("sum  summary", terminal.lines_above.back());
    EXPECT_EQ("exo> sum", terminal.screen());
    press("\x15q\t");
    EXPECT_EQ("q", editor.line());
    EXPECT_EQ(1, terminal.bells);
}

TEST_F(LineEditorTest, CancelsAndClears) {
    press("abc\x03");
    EXPECT_EQ(LineEditor::Event::cancel, last);
    EXPECT_EQ("exo> abc^C", terminal.lines_above.back());
    editor.begin();
    EXPECT_EQ("", editor.line());
    press("x\x0c");
    EXPECT_EQ(1, terminal.clears);
    EXPECT_EQ("exo> x", terminal.screen());
}

TEST_F(LineEditorTest, ScrollsALongLineSideways) {
    std::string text;
    for (int i = 0; i < 200; ++i) text += static_cast<char>('a' + i % 26);
    press(text);
    EXPECT_EQ(text, editor.line());
    const std::size_t shown = terminal.cursor() - 5;
    EXPECT_GE(shown, 74u / 2);
    EXPECT_EQ("exo> " + text.substr(200 - shown), terminal.screen());
    press(home);
    EXPECT_EQ("exo> " + text.substr(0, 74), terminal.screen());
    press(std::string(100, 'x'));
    EXPECT_EQ(LineEditor::max_length, editor.line().size());
    EXPECT_EQ(44, terminal.bells);
}

TEST_F(LineEditorTest, IgnoresKeysThatItDoesNotKnow) {
    press(
        "a\x1b[5~\x1b[Z\x1b[99999999999m\x1bx\xc3\xa4"
        "b");
    EXPECT_EQ("ab", editor.line());
}

/// The same keys on a plain string.
struct Model {
    std::string text;
    std::size_t cursor = 0;

    void press(std::string_view key) {
        if (key == left || key == "\x02") {
            cursor -= cursor > 0;
        } else if (key == right || key == "\x06") {
            cursor = std::min(cursor + 1, text.size());
        } else if (key == home || key == "\x01") {
            cursor = 0;
        } else if (key == end || key == "\x05") {
            cursor = text.size();
        } else if (key == del) {
            if (cursor < text.size()) text.erase(cursor, 1);
        } else if (key == "\x7f") {
            if (cursor > 0) text.erase(--cursor, 1);
        } else if (key == "\x0b") {
            text.erase(cursor);
        } else if (key == "\x15") {
            text.erase(0, cursor);
            cursor = 0;
        } else if (key != "\x0c") {
            for (const char c : key) {
                if (text.size() == LineEditor::max_length) break;
                text.insert(cursor++, 1, c);
            }
        }
    }
};

TEST_F(LineEditorTest, LineAndScreenFollowAModel) {
    std::mt19937 random(4);
    const std::string_view keys[] = {
        "a",    "b ",   "cd",   left,   left,   right,
        home,   end,    del,    "\x7f", "\x01", "\x05",
        "\x0b", "\x15", "\x0c", "\x06", "\x02", "long text that goes on and on and on"};
    Model model;
    for (int i = 0; i < 10'000; ++i) {
        const std::string_view key = keys[random() % std::size(keys)];
        press(key);
        model.press(key);
        ASSERT_EQ(model.text, editor.line());
        const std::size_t scroll = model.cursor + 5 - terminal.cursor();
        ASSERT_LE(scroll, model.text.size());
        std::string expected = "exo> " + model.text.substr(scroll, 74);
        expected.erase(expected.find_last_not_of(' ') + 1);
        ASSERT_EQ(expected, terminal.screen());
    }
}

}  // namespace
}  // namespace exo::guest::test
