#include "vmm/cli/guest_command.h"

namespace exo::vmm {
namespace {

std::string quoted(const std::string& word) {
    if (!word.empty() && word.find_first_of(" \t\n\"\\") == std::string::npos) return word;
    std::string text = "\"";
    for (const char c : word) {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
    }
    return text + '"';
}

}  // namespace

std::string kernel_command_line(const std::string& options, std::span<const std::string> words) {
    if (words.empty()) return options;
    std::string text = options.empty() ? "--" : options + " --";
    for (const std::string& word : words) text += ' ' + quoted(word);
    return text;
}

}  // namespace exo::vmm
