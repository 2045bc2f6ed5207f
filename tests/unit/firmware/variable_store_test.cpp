#include "firmware/variable_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "tests/unit/firmware/test_files.h"

namespace exo::firmware {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::uint64_t store_size = 16384;

std::string content(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

struct VariableStoreTest : testing::Test {
    TestFolder folder;
    std::string factory = volume(store_size, true);
    std::filesystem::path path = folder.path() / "guest.vars";
    std::vector<std::string> failures;

    vmm::Result<std::unique_ptr<VariableStore>> open() {
        return VariableStore::open(path, std::as_bytes(std::span(factory)),
                                   [this](const vmm::Error& error) { failures.push_back(error.message()); });
    }
    void expect_refused(const char* reason) {
        const auto store = open();
        ASSERT_FALSE(store) << reason;
        EXPECT_THAT(store.error().message(), HasSubstr(reason));
    }
    static void program(VariableStore& store, std::uint64_t offset, unsigned char value) {
        store.program(offset, std::as_bytes(std::span(&value, 1)));
    }
};

TEST_F(VariableStoreTest, TheFileIsMadeFromTheFactorysVariables) {
    const auto store = open();
    ASSERT_TRUE(store) << store.error().message();
    EXPECT_EQ(content(path), factory);
}

TEST_F(VariableStoreTest, WhatWasWrittenIsThereTheNextTime) {
    {
        const auto store = open();
        ASSERT_TRUE(store) << store.error().message();
        program(**store, 5000, 0xf0);
        program(**store, 5000, 0x3c);
        program(**store, 9000, 0x11);
        (*store)->erase(8192, 4096);
    }
    const auto again = open();
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ((*again)->bytes()[5000], std::byte{0x30});
    EXPECT_EQ((*again)->bytes()[9000], std::byte{0xff});
    EXPECT_TRUE(failures.empty());
    EXPECT_FALSE(std::filesystem::exists(path.string() + ".new"));
}

TEST_F(VariableStoreTest, AChangeReachesTheFileByItself) {
    const auto store = open();
    ASSERT_TRUE(store) << store.error().message();
    program(**store, 5000, 0x30);
    for (int tries = 0; content(path)[5000] != 0x30 && tries < 1000; ++tries)
        std::this_thread::sleep_for(10ms);
    EXPECT_EQ(content(path)[5000], 0x30);
}

TEST_F(VariableStoreTest, TwoGuestsDoNotShareAFile) {
    auto store = open();
    ASSERT_TRUE(store) << store.error().message();
    expect_refused("another vmm is using it");
    program(**store, 5000, 0x30);
    (*store)->save();
    expect_refused("another vmm is using it");
    store->reset();
    EXPECT_TRUE(open());
}

TEST_F(VariableStoreTest, WhatIsNoStoreOfThisFirmwareIsRefused) {
    path = folder.put("small", volume(4096, true));
    expect_refused("it has 4096 bytes, and this firmware's variable store has 16384");
    path = folder.put("other", std::string(store_size, 'x'));
    expect_refused("other");
    path = folder.put("code", volume(store_size, false));
    expect_refused("code");
    path = folder.path();
    expect_refused("Is a directory");
    path = folder.path() / "absent" / "vars";
    expect_refused("No such file");
    factory.clear();
    path = folder.path() / "guest.vars";
    expect_refused("code and variables in one file");
}

TEST_F(VariableStoreTest, ALinkStaysALinkAndRightsStayAsTheyAre) {
    const auto target = folder.put("kept/real.vars", factory);
    std::filesystem::permissions(target, std::filesystem::perms(0640));
    std::filesystem::create_symlink(target, path);
    {
        const auto store = open();
        ASSERT_TRUE(store) << store.error().message();
        program(**store, 5000, 0x30);
    }
    EXPECT_TRUE(std::filesystem::is_symlink(path));
    EXPECT_EQ(content(target)[5000], 0x30);
    EXPECT_EQ(std::filesystem::status(target).permissions(), std::filesystem::perms(0640));
}

TEST_F(VariableStoreTest, AFileThatCannotBeReplacedIsToldAndKept) {
    auto store = open();
    ASSERT_TRUE(store) << store.error().message();
    std::filesystem::create_directory(path.string() + ".new");
    program(**store, 5000, 0x30);
    (*store)->save();
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(content(path), factory);
    std::filesystem::remove(path.string() + ".new");
    store->reset();
    EXPECT_EQ(content(path)[5000], 0x30) << "tried again at the end";
}

/// A writer that counts up in all bytes from 4096 on is killed at arbitrary moments; the file is always
/// whole, and a state that there was: its bytes fall by one at most, at one place.
TEST_F(VariableStoreTest, KilledAtAnyMomentTheFileIsAStateThatTheFlashHad) {
    for (int round = 0; round < 12; ++round) {
        std::filesystem::remove(path);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            auto store = open();
            for (unsigned mask = 0xfe; store; mask = mask << 1 | 0x100) {
                for (std::uint64_t at = 4096; at < store_size; ++at)
                    program(**store, at, static_cast<unsigned char>(mask));
                (*store)->save();
                if ((mask & 0xff) == 0) {
                    (*store)->erase(4096, store_size - 4096);
                    mask = 0xff;
                }
            }
            ::_exit(1);
        }
        while (!std::filesystem::exists(path)) std::this_thread::sleep_for(1ms);
        std::this_thread::sleep_for(std::chrono::milliseconds(3 + 7 * round));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        const std::string kept = content(path);
        ASSERT_EQ(kept.size(), store_size);
        const auto steps = std::ranges::adjacent_find(kept.begin() + 4096, kept.end(), std::not_equal_to{});
        EXPECT_TRUE(steps == kept.end() ||
                    std::adjacent_find(steps + 1, kept.end(), std::not_equal_to{}) == kept.end());
        EXPECT_TRUE(open()) << "and it can be used";
    }
}

}  // namespace
}  // namespace exo::firmware
