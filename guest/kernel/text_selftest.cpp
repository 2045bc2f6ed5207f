#include "guest/kernel/command_words.h"
#include "guest/kernel/format.h"
#include "guest/kernel/selftest.h"
#include "guest/kernel/sha256.h"

namespace exo::guest {
namespace {

template <typename... Args>
void expect_text(TestReport& report, std::string_view wanted,
                 FormatString<std::type_identity_t<Args>...> text, const Args&... args) {
    FixedText<100> got;
    format(got, text, args...);
    report.expect_equal(got.view(), wanted, "formatted");
}

void numbers_and_texts(TestReport& report) {
    expect_text(report, "0 -1 18446744073709551615", "{} {} {}", 0, -1, ~std::uint64_t{0});
    expect_text(report, "[  7|7  |00ff|0xff]", "[{:>3}|{:<3}|{:04x}|{:#x}]", 7, 7, 255, 255);
    expect_text(report, "1,234,567 {}", "{:,} {{}}", 1'234'567);
    expect_text(report, "true x text", "{} {} {}", true, 'x', "text");
    expect_text(report, "64 MiB", "{}", Bytes{64 << 20});
}

void digests_are_right(TestReport& report) {
    const auto check = [&](std::string_view message, std::string_view wanted) {
        FixedText<64> got;
        format(got, "{}", Sha256::of(std::as_bytes(std::span(message))));
        report.expect_equal(got.view(), wanted, "digest");
    };
    check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    Sha256 sha;
    const std::string_view letters = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (int i = 0; i < 20'000; ++i) sha.update(std::as_bytes(std::span(letters)));
    FixedText<64> million;
    format(million, "{}", sha.finish());
    report.expect_equal(million.view(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
                        "digest of a million letters");
}

void commands_are_cut_into_words(TestReport& report) {
    std::string_view line = R"(echo "a \"b" c; next)";
    CommandWords words;
    report.expect(words.parse(line).has_value(), "the line was refused");
    report.expect_equal(words.words().size(), 3u, "words");
    if (words.words().size() == 3) report.expect_equal(words.words()[1], "a \"b", "the quoted word");
    report.expect_equal(line, " next", "what is left of the line");
}

constexpr SelfTest tests[] = {
    {"format: numbers and texts", numbers_and_texts},
    {"sha256: digests are right", digests_are_right},
    {"shell: commands are cut into words", commands_are_cut_into_words},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
