#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "guest/kernel/text_sink.h"

/// Formatting in the manner of std::format, without heap or exceptions, checked at compile time:
///
///     format(sink, "{:<10}{:>8,} bytes at {:#018x}\n", name, size, address);
///
/// A field is `{}` or `{:[<|>|^][#][0][width][,][x|X|b|d|c|s]}`; `{{` and `}}` stand for braces. `#` puts
/// 0x or 0b before the digits (inside the width), `,` groups decimal digits by thousands. Integers, bool,
/// char, text, pointers, and every type with a function `void format_value(TextSink&, const T&)`.
namespace exo::guest {

struct FormatSpec {
    enum class Align : std::uint8_t { natural, left, right, centre };
    Align align = Align::natural;  ///< natural: numbers to the right, everything else to the left
    bool prefix = false;
    bool zero_fill = false;
    bool group = false;
    std::uint32_t width = 0;
    char type = '\0';

    static constexpr std::uint32_t max_width = 200;

    /// Reads what stands between ':' and '}'. False when it is not a specification.
    constexpr bool parse(std::string_view text);
};

enum class FormatKind : std::uint8_t {
    signed_integer,
    unsigned_integer,
    boolean,
    character,
    text,
    pointer,
    custom
};

/// One value to print, its type erased. It refers to the value, which must outlive it.
class FormatArgument {
  public:
    using Custom = void (*)(TextSink&, const void*);

    template <typename T>
    constexpr FormatArgument(const T& value);  // NOLINT(google-explicit-constructor)

    /// How values of type T are printed.
    template <typename T>
    static consteval FormatKind kind_of();

    FormatKind kind() const { return kind_; }
    std::uint64_t bits() const { return bits_; }
    std::string_view text() const { return text_; }
    void print_custom(TextSink& sink) const { custom_(sink, value_); }

  private:
    FormatKind kind_;
    std::uint64_t bits_ = 0;
    std::string_view text_;
    const void* value_ = nullptr;
    Custom custom_ = nullptr;
};

/// Prints `text` with its fields filled from `arguments`. Use `format`, which checks the text.
void format_erased(TextSink& sink, std::string_view text, std::span<const FormatArgument> arguments);

namespace detail {

template <typename T>
concept HasFormatValue = requires(TextSink& sink, const T& value) { format_value(sink, value); };

constexpr bool spec_suits(const FormatSpec& spec, FormatKind kind) {
    const bool integer = kind == FormatKind::signed_integer || kind == FormatKind::unsigned_integer;
    switch (spec.type) {
        case '\0':
            return integer || (!spec.prefix && !spec.zero_fill && !spec.group);
        case 'd':
            return integer && !spec.prefix;
        case 'x':
        case 'X':
        case 'b':
            return integer && !spec.group;
        case 'c':
            return kind == FormatKind::character;
        case 's':
            return kind == FormatKind::text;
        default:
            return false;
    }
}

/// Not constexpr: reaching it while a format string is checked stops the compilation with its name.
inline void format_string_error(const char*) {}

template <typename... Args>
consteval void check_format(std::string_view text) {
    constexpr std::size_t count = sizeof...(Args);
    const FormatKind kinds[count + 1] = {FormatArgument::kind_of<std::remove_cvref_t<Args>>()...};
    std::size_t used = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool doubled = i + 1 < text.size() && text[i + 1] == text[i];
        if (text[i] == '}') {
            if (!doubled) format_string_error("a single } in the format string");
            ++i;
        } else if (text[i] == '{' && doubled) {
            ++i;
        } else if (text[i] == '{') {
            const std::size_t end = text.find('}', i);
            if (end == std::string_view::npos) format_string_error("a { without its }");
            std::string_view field = text.substr(i + 1, end - i - 1);
            FormatSpec spec;
            if (!field.empty()) {
                if (field[0] != ':' || !spec.parse(field.substr(1))) format_string_error("not a field");
            }
            if (used == count) format_string_error("more fields than arguments");
            if (!spec_suits(spec, kinds[used])) format_string_error("the field does not suit its argument");
            ++used;
            i = end;
        }
    }
    if (used != count) format_string_error("more arguments than fields");
}

}  // namespace detail

/// A literal that was checked against the types it is used with.
template <typename... Args>
class FormatString {
  public:
    template <std::convertible_to<std::string_view> Text>
    consteval FormatString(const Text& text) : text_(text) {  // NOLINT(google-explicit-constructor)
        detail::check_format<Args...>(text_);
    }
    std::string_view text() const { return text_; }

  private:
    std::string_view text_;
};

template <typename... Args>
void format(TextSink& sink, FormatString<std::type_identity_t<Args>...> text, const Args&... args) {
    const FormatArgument erased[sizeof...(Args) + 1] = {FormatArgument(args)..., FormatArgument(0)};
    format_erased(sink, text.text(), {erased, sizeof...(Args)});
}

constexpr bool FormatSpec::parse(std::string_view in) {
    std::size_t i = 0;
    const auto take = [&](char c) { return i < in.size() && in[i] == c && (++i, true); };
    if (take('<')) {
        align = Align::left;
    } else if (take('>')) {
        align = Align::right;
    } else if (take('^')) {
        align = Align::centre;
    }
    prefix = take('#');
    zero_fill = take('0');
    for (; i < in.size() && in[i] >= '0' && in[i] <= '9'; ++i) {
        width = width * 10 + static_cast<std::uint32_t>(in[i] - '0');
        if (width > max_width) return false;
    }
    group = take(',');
    if (i < in.size()) type = in[i++];
    return i == in.size();
}

template <typename T>
consteval FormatKind FormatArgument::kind_of() {
    if constexpr (std::same_as<T, bool>) {
        return FormatKind::boolean;
    } else if constexpr (std::same_as<T, char>) {
        return FormatKind::character;
    } else if constexpr (std::integral<T>) {
        return std::is_signed_v<T> ? FormatKind::signed_integer : FormatKind::unsigned_integer;
    } else if constexpr (detail::HasFormatValue<T>) {
        return FormatKind::custom;
    } else if constexpr (std::convertible_to<const T&, std::string_view>) {
        return FormatKind::text;
    } else {
        static_assert(std::is_pointer_v<T> || std::is_null_pointer_v<T>,
                      "give the type a format_value(TextSink&, const T&)");
        return FormatKind::pointer;
    }
}

template <typename T>
constexpr FormatArgument::FormatArgument(const T& value) : kind_(kind_of<std::remove_cv_t<T>>()) {
    constexpr FormatKind kind = kind_of<std::remove_cv_t<T>>();
    if constexpr (kind == FormatKind::signed_integer) {
        bits_ = static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
    } else if constexpr (kind == FormatKind::character) {
        bits_ = static_cast<unsigned char>(value);
    } else if constexpr (kind == FormatKind::unsigned_integer || kind == FormatKind::boolean) {
        bits_ = static_cast<std::uint64_t>(value);
    } else if constexpr (kind == FormatKind::pointer) {
        bits_ = reinterpret_cast<std::uintptr_t>(value);
    } else if constexpr (kind == FormatKind::text) {
        text_ = value;
    } else {
        value_ = &value;
        custom_ = [](TextSink& sink, const void* erased) {
            format_value(sink, *static_cast<const T*>(erased));
        };
    }
}

/// Prints a number of bytes in the unit that fits: "64 MiB", "2.5 GiB", "512 B".
struct Bytes {
    std::uint64_t count;
};
void format_value(TextSink& sink, const Bytes& bytes);

/// Prints a frequency in the unit that fits: "2.1 GHz", "50 MHz".
struct Hertz {
    std::uint64_t count;
};
void format_value(TextSink& sink, const Hertz& frequency);

/// Prints a span of time in the unit that fits: "812 ns", "3.4 ms", "12.06 s".
struct Duration {
    std::uint64_t count;
};
void format_value(TextSink& sink, const Duration& time);

}  // namespace exo::guest
