#include "guest/kernel/symbols.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace exo::guest {
namespace {

constinit Symbols own_symbols;

/// Takes a decimal number off the front; 0 when there is none.
std::size_t take_number(std::string_view& text) {
    std::size_t number = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
    return result.ec == std::errc() ? number : 0;
}

/// Takes template arguments, from 'I' to the 'E' that closes them, off the front. False when they do not end.
bool skip_template_arguments(std::string_view& text) {
    constexpr std::string_view openers = "INXJLF";
    for (int depth = 0; !text.empty();) {
        if (text[0] >= '1' && text[0] <= '9' && depth > 0) {
            const std::size_t length = take_number(text);
            text.remove_prefix(std::min(length, text.size()));
            continue;
        }
        if (openers.find(text[0]) != std::string_view::npos) {
            const bool literal_number = text[0] == 'L' && text.size() > 2 && text[1] != '_';
            if (literal_number) text.remove_prefix(std::min(text.find('E'), text.size() - 1) + 1);
            if (literal_number) continue;
            ++depth;
        }
        const bool closes = text[0] == 'E';
        text.remove_prefix(text.starts_with("St") ? 2 : 1);
        if (closes && --depth == 0) return true;
    }
    return false;
}

/// Prints the names of a nested name (Itanium C++ ABI, 5.1.2) with "::" between them. Template arguments are
/// passed over. False when there is something else in it; then some may have been printed.
bool print_names(TextSink& sink, std::string_view text) {
    bool first = true;
    const auto separate = [&] {
        if (!first) sink.write("::");
        first = false;
    };
    while (!text.empty() && text[0] != 'E') {
        if (text[0] >= '1' && text[0] <= '9') {
            const std::size_t length = take_number(text);
            if (length > text.size()) return false;
            const std::string_view name = text.substr(0, length);
            separate();
            sink.write(name.starts_with("_GLOBAL__N") ? "(anonymous)" : name);
            text.remove_prefix(length);
        } else if (text[0] == 'I') {
            sink.write("<...>");
            if (!skip_template_arguments(text)) return true;
        } else if (text.starts_with("C1") || text.starts_with("C2")) {
            separate();
            sink.write("(constructor)");
            text.remove_prefix(2);
        } else if (text.starts_with("D0") || text.starts_with("D1") || text.starts_with("D2")) {
            separate();
            sink.write("(destructor)");
            text.remove_prefix(2);
        } else {
            return false;
        }
    }
    return !first;
}

/// The names inside a mangled symbol, up to where parameters begin; empty when it is not one that
/// `print_names` may know.
std::string_view nested_names(std::string_view symbol) {
    if (!symbol.starts_with("_Z")) return {};
    symbol.remove_prefix(2);
    if (symbol.starts_with('L')) symbol.remove_prefix(1);
    if (!symbol.starts_with('N')) {
        // A single name: its number and as many characters, and nothing behind them.
        std::string_view rest = symbol;
        const std::size_t length = take_number(rest);
        if (length == 0 || length > rest.size()) return {};
        return symbol.substr(0, symbol.size() - rest.size() + length);
    }
    symbol.remove_prefix(1);
    while (symbol.starts_with('K') || symbol.starts_with('V') || symbol.starts_with('R') ||
           symbol.starts_with('O'))
        symbol.remove_prefix(1);
    return symbol;
}

}  // namespace

const Symbols& kernel_symbols() {
    return own_symbols;
}
void set_kernel_symbols(const Symbols& symbols) {
    own_symbols = symbols;
}

Symbols::Symbols(const elf::Image& image) {
    const elf::Header* const header = image.header();
    if (header == nullptr || header->section_entry_size != sizeof(elf::SectionHeader)) return;
    const auto section = [&](std::uint64_t index) {
        return index < header->section_count ? image.at<elf::SectionHeader>(header->section_offset, index)
                                             : nullptr;
    };
    const auto in_file = [&](const elf::SectionHeader& s) {
        return s.offset <= image.size && s.size <= image.size - s.offset;
    };
    for (std::uint64_t i = 0; i < header->section_count; ++i) {
        const elf::SectionHeader* const table = section(i);
        if (table == nullptr || table->type != elf::section_symbols || !in_file(*table)) continue;
        const elf::SectionHeader* const names = section(table->link);
        const auto* const first = image.at<elf::Symbol>(table->offset);
        if (names == nullptr || !in_file(*names) || first == nullptr) return;
        symbols_ = {first, table->size / sizeof(elf::Symbol)};
        names_ = {reinterpret_cast<const char*>(image.data + names->offset), names->size};
        return;
    }
}

std::optional<Symbols::Match> Symbols::find(std::uint64_t address) const {
    const elf::Symbol* best = nullptr;
    for (const elf::Symbol& symbol : symbols_) {
        if ((symbol.info & 0xf) != elf::symbol_function || address < symbol.value) continue;
        if (address - symbol.value >= std::max<std::uint64_t>(symbol.size, 1) || symbol.name >= names_.size())
            continue;
        if (best == nullptr || symbol.value > best->value) best = &symbol;
    }
    if (best == nullptr) return std::nullopt;
    const std::string_view rest = names_.substr(best->name);
    return Match{.name = rest.substr(0, rest.find('\0')), .offset = address - best->value};
}

Symbols Symbols::copy_to(std::span<std::byte> memory) const {
    Symbols copy;
    std::memcpy(memory.data(), symbols_.data(), symbols_.size_bytes());
    std::memcpy(memory.data() + symbols_.size_bytes(), names_.data(), names_.size());
    copy.symbols_ = {reinterpret_cast<const elf::Symbol*>(memory.data()), symbols_.size()};
    copy.names_ = {reinterpret_cast<const char*>(memory.data()) + symbols_.size_bytes(), names_.size()};
    return copy;
}

void format_value(TextSink& sink, const Location& location) {
    const std::uintptr_t before = location.is_return ? 1 : 0;
    const auto match = kernel_symbols().find(location.address - before);
    if (!match) return sink.write("(not in a function of the kernel)");
    format(sink, "{} + {:#x}", Demangled{match->name}, match->offset + before);
}

void format_value(TextSink& sink, const Demangled& demangled) {
    const std::string_view names = nested_names(demangled.symbol);
    TextCounter dry_run;
    if (names.empty() || !print_names(dry_run, names)) return sink.write(demangled.symbol);
    print_names(sink, names);
}

}  // namespace exo::guest
