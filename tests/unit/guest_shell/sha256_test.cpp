#include "guest/kernel/sha256.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "guest/kernel/format.h"

namespace exo::guest::test {
namespace {

std::string hex(const Sha256::Digest& digest) {
    FixedText<64> text;
    format(text, "{}", digest);
    return std::string(text.view());
}

std::string hex_of(std::string_view text) {
    return hex(Sha256::of(std::as_bytes(std::span(text))));
}

// The examples that NIST publishes with FIPS 180-4, and the empty message.
TEST(Sha256, KnownAnswers) {
    EXPECT_EQ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", hex_of(""));
    EXPECT_EQ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex_of("abc"));
    EXPECT_EQ("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
              hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
    EXPECT_EQ(
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
        hex_of("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlm"
               "nopqrsmnopqrstnopqrstu"));
    EXPECT_EQ("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
              hex_of(std::string(1'000'000, 'a')));
}

TEST(Sha256, IsAsNewAfterTheDigest) {
    Sha256 sha;
    sha.update(std::as_bytes(std::span("something else")));
    sha.finish();
    sha.update(std::as_bytes(std::span(std::string_view("abc"))));
    EXPECT_EQ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex(sha.finish()));
}

TEST(Sha256, PiecesOfAnySizeGiveTheSame) {
    std::mt19937 random(1);
    std::vector<std::byte> data(5'000);
    for (std::byte& byte : data) byte = static_cast<std::byte>(random());
    const Sha256::Digest whole = Sha256::of(data);
    for (int round = 0; round < 100; ++round) {
        Sha256 sha;
        std::span<const std::byte> rest = data;
        while (!rest.empty()) {
            const std::size_t size = std::min<std::size_t>(rest.size(), random() % 200);
            sha.update(rest.first(size));
            rest = rest.subspan(size);
        }
        ASSERT_EQ(whole, sha.finish());
    }
}

TEST(Sha256, AgreesWithSha256sum) {
    const std::filesystem::path folder = testing::TempDir() + "exo_sha256";
    std::filesystem::create_directories(folder);
    std::mt19937 random(2);
    std::vector<std::string> expected;
    std::string command = "cd '" + folder.string() + "' && sha256sum";
    for (int i = 0; i < 200; ++i) {
        // Every length around the block and padding edges, then longer ones.
        std::string data(i < 140 ? static_cast<std::size_t>(i) : random() % 50'000, '\0');
        for (char& c : data) c = static_cast<char>(random());
        std::ofstream(folder / std::to_string(i), std::ios::binary) << data;
        command += " " + std::to_string(i);
        expected.push_back(hex_of(data));
    }
    FILE* const output = popen(command.c_str(), "r");
    ASSERT_NE(nullptr, output);
    for (int i = 0; i < 200; ++i) {
        char digest[65];
        int number = -1;
        ASSERT_EQ(2, std::fscanf(output, "%64s %d", digest, &number));
        EXPECT_EQ(i, number);
        EXPECT_EQ(digest, expected[static_cast<std::size_t>(i)]) << i;
    }
    EXPECT_EQ(0, pclose(output));
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace exo::guest::test
