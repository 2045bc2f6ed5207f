#include "guest/kernel/format.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace exo::guest {
namespace {

template <typename... Args>
std::string formatted(FormatString<std::type_identity_t<Args>...> text, const Args&... args) {
    FixedText<512> sink;
    format(sink, text, args...);
    return std::string(sink.view());
}

TEST(Format, PrintsValuesOfEveryKind) {
    const char* const pointer_to_text = "text";
    EXPECT_EQ(formatted("{} {} {} {} {} {}", 1, -2, true, 'c', pointer_to_text, std::string_view("view")),
              "1 -2 true c text view");
    EXPECT_EQ(formatted("{}", reinterpret_cast<const void*>(0xabcd)), "0xabcd");
    EXPECT_EQ(formatted("{}", nullptr), "0x0");
    EXPECT_EQ(formatted("no fields"), "no fields");
    EXPECT_EQ(formatted(""), "");
}

TEST(Format, PrintsTheEndsOfTheIntegerRanges) {
    EXPECT_EQ(formatted("{}", std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
    EXPECT_EQ(formatted("{}", std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
    EXPECT_EQ(formatted("{:,}", std::numeric_limits<std::uint64_t>::max()), "18,446,744,073,709,551,615");
    EXPECT_EQ(formatted("{:b}", std::numeric_limits<std::uint64_t>::max()), std::string(64, '1'));
    EXPECT_EQ(formatted("{}", std::numeric_limits<std::int8_t>::min()), "-128");
}

TEST(Format, DoublesBraces) {
    EXPECT_EQ(formatted("{{{}}} }}{{", 7), "{7} }{");
}

TEST(Format, AlignsAndFills) {
    EXPECT_EQ(formatted("[{:5}][{:<5}][{:^5}]", 42, 42, 42), "[   42][42   ][ 42  ]");
    EXPECT_EQ(formatted("[{:5}][{:>5}]", "ab", "ab"), "[ab   ][   ab]");
    EXPECT_EQ(formatted("[{:2}]", "longer"), "[longer]");
    EXPECT_EQ(formatted("[{:>8}][{:<8}]", Bytes{65536}, Bytes{65536}), "[  64 KiB][64 KiB  ]");
}

TEST(Format, PrintsOtherBases) {
    EXPECT_EQ(formatted("{:x} {:X} {:#x} {:#06x} {:08b} {:#018x}", 255, 255, 255, 255, 5, 0xfeedull),
              "ff FF 0xff 0x00ff 00000101 0x000000000000feed");
    EXPECT_EQ(formatted("{:05}", -42), "-0042");
}

TEST(Format, GroupsThousands) {
    EXPECT_EQ(formatted("{:,} {:,} {:,} {:,}", 0, 999, 1000, -1234567), "0 999 1,000 -1,234,567");
    EXPECT_EQ(formatted("[{:>12,}]", 1234567), "[   1,234,567]");
}

TEST(Format, PrintsBytesInTheUnitThatFits) {
    EXPECT_EQ(formatted("{}", Bytes{0}), "0 B");
    EXPECT_EQ(formatted("{}", Bytes{1023}), "1023 B");
    EXPECT_EQ(formatted("{}", Bytes{1536}), "1.5 KiB");
    EXPECT_EQ(formatted("{}", Bytes{64ull << 20}), "64 MiB");
    EXPECT_EQ(formatted("{}", Bytes{(1ull << 40) + (1ull << 35)}), "1.03 TiB");
    EXPECT_EQ(formatted("{}", Bytes{~0ull}), "16777215 TiB");
}

TEST(Format, PrintsFrequenciesInTheUnitThatFits) {
    EXPECT_EQ(formatted("{} {} {}", Hertz{2'096'000'000}, Hertz{50'000'000}, Hertz{440}),
              "2.09 GHz 50 MHz 440 Hz");
}

TEST(Format, PrintsTimesInTheUnitThatFits) {
    EXPECT_EQ(formatted("{}", Duration{0}), "0 ns");
    EXPECT_EQ(formatted("{}", Duration{3'400'000}), "3.4 ms");
    EXPECT_EQ(formatted("{}", Duration{12'060'000'000}), "12 s");
    EXPECT_EQ(formatted("{}", Duration{1'050}), "1.05 us");
}

struct Point {
    int x, y;
};
void format_value(TextSink& sink, const Point& point) {
    format(sink, "({}, {})", point.x, point.y);
}

TEST(Format, PrintsTypesThatSayHow) {
    EXPECT_EQ(formatted("{:>8}|", Point{1, 2}), "  (1, 2)|");
}

TEST(FixedText, DropsWhatDoesNotFit) {
    FixedText<4> text;
    text.write("abc");
    text.write("def");
    EXPECT_EQ(text.view(), "abcd");
    text.clear();
    EXPECT_EQ(text.view(), "");
}

}  // namespace
}  // namespace exo::guest
