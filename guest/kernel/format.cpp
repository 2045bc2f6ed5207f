#include "guest/kernel/format.h"

namespace exo::guest {
namespace {

constexpr std::size_t digits_max = 64;  // 64 binary digits; 20 decimal ones with 6 commas are fewer

void pad(TextSink& sink, char fill, std::size_t count) {
    for (; count > 0; --count) sink.write({&fill, 1});
}

/// Writes digits from the end of a buffer; the text in it.
std::string_view write_digits(std::uint64_t value, unsigned base, bool upper, bool group,
                              char (&buffer)[digits_max]) {
    const char* const symbols = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    std::size_t start = digits_max;
    unsigned written = 0;
    do {
        if (group && written != 0 && written % 3 == 0) buffer[--start] = ',';
        buffer[--start] = symbols[value % base];
        value /= base;
        ++written;
    } while (value != 0);
    return {buffer + start, digits_max - start};
}

void write_aligned(TextSink& sink, const FormatSpec& spec, FormatSpec::Align natural, std::size_t size,
                   auto&& write) {
    const std::size_t space = spec.width > size ? spec.width - size : 0;
    const FormatSpec::Align align = spec.align == FormatSpec::Align::natural ? natural : spec.align;
    const std::size_t before = align == FormatSpec::Align::left    ? 0
                               : align == FormatSpec::Align::right ? space
                                                                   : space / 2;
    pad(sink, ' ', before);
    write();
    pad(sink, ' ', space - before);
}

void print_text(TextSink& sink, const FormatSpec& spec, std::string_view text) {
    write_aligned(sink, spec, FormatSpec::Align::left, text.size(), [&] { sink.write(text); });
}

void print_number(TextSink& sink, const FormatSpec& spec, std::uint64_t magnitude, bool negative) {
    char buffer[digits_max];
    const unsigned base = spec.type == 'x' || spec.type == 'X' ? 16 : spec.type == 'b' ? 2 : 10;
    const std::string_view digits = write_digits(magnitude, base, spec.type == 'X', spec.group, buffer);
    const std::string_view sign = negative ? "-" : "";
    const std::string_view prefix = !spec.prefix ? "" : base == 16 ? "0x" : base == 2 ? "0b" : "";
    std::size_t size = sign.size() + prefix.size() + digits.size();
    const std::size_t zeros = spec.zero_fill && spec.width > size ? spec.width - size : 0;
    size += zeros;
    write_aligned(sink, spec, FormatSpec::Align::right, size, [&] {
        sink.write(sign);
        sink.write(prefix);
        pad(sink, '0', zeros);
        sink.write(digits);
    });
}

void print_argument(TextSink& sink, const FormatSpec& spec, const FormatArgument& argument) {
    switch (argument.kind()) {
        case FormatKind::signed_integer: {
            const bool negative = static_cast<std::int64_t>(argument.bits()) < 0;
            return print_number(sink, spec, negative ? 0 - argument.bits() : argument.bits(), negative);
        }
        case FormatKind::unsigned_integer:
            return print_number(sink, spec, argument.bits(), false);
        case FormatKind::boolean:
            return print_text(sink, spec, argument.bits() != 0 ? "true" : "false");
        case FormatKind::character: {
            const char character = static_cast<char>(argument.bits());
            return print_text(sink, spec, {&character, 1});
        }
        case FormatKind::text:
            return print_text(sink, spec, argument.text());
        case FormatKind::pointer: {
            FormatSpec hexadecimal = spec;
            hexadecimal.type = 'x';
            hexadecimal.prefix = true;
            return print_number(sink, hexadecimal, argument.bits(), false);
        }
        case FormatKind::custom: {
            TextCounter counter;
            if (spec.width != 0) argument.print_custom(counter);
            return write_aligned(sink, spec, FormatSpec::Align::left, counter.size(),
                                 [&] { argument.print_custom(sink); });
        }
    }
}

/// Prints `value` / `unit` with as many decimals (0 to 2) as make three significant digits, none that are 0.
void print_scaled(TextSink& sink, std::uint64_t value, std::uint64_t unit, std::string_view name) {
    std::uint64_t whole = value / unit;
    // Long division, so that no product overflows.
    std::uint64_t rest = value % unit;
    unsigned decimals = 0;
    std::uint64_t fraction = 0;
    const unsigned wanted = whole >= 100 ? 0 : whole >= 10 ? 1 : 2;
    for (; decimals < wanted; ++decimals) {
        fraction = fraction * 10 + rest * 10 / unit;
        rest = rest * 10 % unit;
    }
    while (decimals > 0 && fraction % 10 == 0) {
        fraction /= 10;
        --decimals;
    }
    format(sink, "{}", whole);
    if (decimals == 1) format(sink, ".{}", fraction);
    if (decimals == 2) format(sink, ".{:02}", fraction);
    format(sink, " {}", name);
}

struct Unit {
    std::uint64_t size;
    std::string_view name;
};

void print_in_units(TextSink& sink, std::uint64_t value, std::span<const Unit> descending) {
    for (const Unit& unit : descending) {
        if (value >= unit.size || unit.size == 1) return print_scaled(sink, value, unit.size, unit.name);
    }
}

}  // namespace

void format_erased(TextSink& sink, std::string_view text, std::span<const FormatArgument> arguments) {
    std::size_t next = 0;
    while (!text.empty()) {
        const std::size_t brace = text.find_first_of("{}");
        sink.write(text.substr(0, brace));
        if (brace == std::string_view::npos) return;
        text.remove_prefix(brace);
        const std::size_t end = text.find('}');
        // Checked when it was compiled: a brace is doubled, or it opens a field that ends and has a value.
        if (text.size() > 1 && text[1] == text[0]) {
            sink.write(text.substr(0, 1));
            text.remove_prefix(2);
            continue;
        }
        if (end == std::string_view::npos || next == arguments.size()) return;
        FormatSpec spec;
        if (end > 1) spec.parse(text.substr(2, end - 2));
        print_argument(sink, spec, arguments[next++]);
        text.remove_prefix(end + 1);
    }
}

void format_value(TextSink& sink, const Bytes& bytes) {
    constexpr Unit units[] = {
        {1ull << 40, "TiB"}, {1ull << 30, "GiB"}, {1ull << 20, "MiB"}, {1ull << 10, "KiB"}, {1, "B"}};
    print_in_units(sink, bytes.count, units);
}

void format_value(TextSink& sink, const Hertz& frequency) {
    constexpr Unit units[] = {{1'000'000'000, "GHz"}, {1'000'000, "MHz"}, {1'000, "kHz"}, {1, "Hz"}};
    print_in_units(sink, frequency.count, units);
}

void format_value(TextSink& sink, const Duration& time) {
    constexpr Unit units[] = {{1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "us"}, {1, "ns"}};
    print_in_units(sink, time.count, units);
}

}  // namespace exo::guest
