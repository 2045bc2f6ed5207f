#include "guest/kernel/command_line.h"

namespace exo::guest {
namespace {

constexpr std::string_view blanks = " \t\r\n";

std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Takes the first word off `text`, which has no blanks before it.
std::string_view take_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find_first_of(blanks));
    text = trim(text.substr(word.size()));
    return word;
}

}  // namespace

CommandLine::CommandLine(std::string_view text) {
    options_ = text = trim(text);
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view word = take_word(rest);
        if (word != "--") continue;
        options_ = trim(text.substr(0, static_cast<std::size_t>(word.data() - text.data())));
        command_ = rest;
        return;
    }
}

std::optional<std::string_view> CommandLine::option(std::string_view name) const {
    std::optional<std::string_view> found;
    for (std::string_view rest = options_; !rest.empty();) {
        const std::string_view word = take_word(rest);
        const std::size_t equals = word.find('=');
        if (word.substr(0, equals) != name) continue;
        found = equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
    }
    return found;
}

}  // namespace exo::guest
