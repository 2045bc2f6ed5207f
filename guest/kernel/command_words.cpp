#include "guest/kernel/command_words.h"

namespace exo::guest {
namespace {

constexpr std::string_view what = "cannot read the command";

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

Result<void> CommandWords::parse(std::string_view& line) {
    used_ = count_ = 0;
    while (!line.empty()) {
        if (is_blank(line.front())) {
            line.remove_prefix(1);
        } else if (line.front() == ';') {
            line.remove_prefix(1);
            return {};
        } else {
            if (count_ == max_words) return fail(what, "it has too many words");
            const auto word = parse_word(line);
            if (!word) return std::unexpected(word.error());
            words_[count_++] = *word;
        }
    }
    return {};
}

Result<std::string_view> CommandWords::parse_word(std::string_view& line) {
    const std::size_t start = used_;
    bool quoted = false;
    std::size_t i = 0;
    for (; i < line.size(); ++i) {
        char c = line[i];
        if (!quoted && (is_blank(c) || c == ';')) break;
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        const bool escape = quoted && c == '\\' && i + 1 < line.size();
        if (escape && (line[i + 1] == '"' || line[i + 1] == '\\')) c = line[++i];
        if (used_ == max_length) return fail(what, "it is too long");
        text_[used_++] = c;
    }
    if (quoted) return fail(what, "a double quote is not closed");
    line.remove_prefix(i);
    return std::string_view(text_.data() + start, used_ - start);
}

}  // namespace exo::guest
