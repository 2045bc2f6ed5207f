#include "vmm/cli/firmware_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace exo::vmm {
namespace {

namespace fs = std::filesystem;
using Facts = std::vector<SnapshotFact>;

struct FirmwareCacheTest : testing::Test {
    fs::path folder = fs::path(testing::TempDir()) / fmt::format("firmware-cache-{}", ::getpid());
    std::vector<std::byte> memory = std::vector<std::byte>(256 * 4096, std::byte{1});

    ~FirmwareCacheTest() override { fs::remove_all(folder); }

    FirmwareCache open(std::uint64_t limit = FirmwareCache::default_limit) const {
        auto cache = FirmwareCache::open(folder / "a" / "b", limit);
        EXPECT_TRUE(cache);
        return std::move(*cache);
    }
    void keep(const FirmwareCache& cache, const Facts& facts) const {
        EXPECT_TRUE(SnapshotFile::write(cache.place(facts), facts, {}, memory));
    }
    static void use_at(const fs::path& path, std::time_t time) {
        const timespec times[2] = {{time, 0}, {time, 0}};
        ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    }
};

TEST_F(FirmwareCacheTest, FindsWhatHasTheSameFactsAlone) {
    const FirmwareCache cache = open();
    const Facts facts{{"vmm", "1"}, {"firmware", "2"}};
    EXPECT_FALSE(cache.find(facts));
    keep(cache, facts);
    EXPECT_TRUE(cache.find(facts));
    EXPECT_FALSE(cache.find({{"vmm", "1"}, {"firmware", "3"}}));
    EXPECT_FALSE(cache.find({{"vmm", "12"}, {"firmware", ""}}));
}

TEST_F(FirmwareCacheTest, DoesNotTakeAFileByItsName) {
    const FirmwareCache cache = open();
    const Facts facts{{"vmm", "1"}};
    ASSERT_TRUE(SnapshotFile::write(cache.place(facts), {{"vmm", "2"}}, {}, memory));
    EXPECT_FALSE(cache.find(facts));
}

TEST_F(FirmwareCacheTest, WhatWasUsedLongestAgoGoesFirst) {
    const FirmwareCache cache = open(3 << 20);
    const std::time_t now = std::time(nullptr);
    for (int i = 0; i < 5; ++i) {
        keep(cache, {{"number", std::to_string(i)}});
        use_at(cache.place({{"number", std::to_string(i)}}), now - 100 + i);
    }
    ASSERT_TRUE(cache.find({{"number", "0"}}));  // used now
    cache.trim();
    EXPECT_TRUE(cache.find({{"number", "0"}}));
    EXPECT_TRUE(cache.find({{"number", "4"}}));
    EXPECT_FALSE(cache.find({{"number", "1"}}));
    EXPECT_FALSE(cache.find({{"number", "2"}}));
}

TEST_F(FirmwareCacheTest, LeavesOtherFilesAndFreshUnfinishedOnesAlone) {
    const FirmwareCache cache = open(0);
    const Facts facts{{"vmm", "1"}};
    const fs::path mine = cache.place(facts).parent_path() / "notes.txt";
    const fs::path fresh = cache.place(facts).string() + ".new.1";
    const fs::path abandoned = cache.place(facts).string() + ".new.2";
    for (const fs::path& path : {mine, fresh, abandoned}) std::ofstream(path) << std::string(8192, 'x');
    use_at(abandoned, std::time(nullptr) - 7200);
    cache.trim();
    EXPECT_TRUE(fs::exists(mine));
    EXPECT_TRUE(fs::exists(fresh));
    EXPECT_FALSE(fs::exists(abandoned));
}

TEST_F(FirmwareCacheTest, FolderThatCannotBeMadeIsAnError) {
    EXPECT_FALSE(FirmwareCache::open("/proc/none/firmware"));
}

TEST_F(FirmwareCacheTest, TheUsersCacheFolder) {
    ::setenv("HOME", "/home/somebody", 1);
    ::setenv("XDG_CACHE_HOME", "/var/cache/somebody", 1);
    EXPECT_EQ(FirmwareCache::default_folder(), "/var/cache/somebody/exo-os/firmware");
    ::setenv("XDG_CACHE_HOME", "relative",
             1);  // to be ignored, as the XDG base directory specification has it
    EXPECT_EQ(FirmwareCache::default_folder(), "/home/somebody/.cache/exo-os/firmware");
    ::unsetenv("HOME");
    ::unsetenv("XDG_CACHE_HOME");
    EXPECT_TRUE(FirmwareCache::default_folder().empty());
}

}  // namespace
}  // namespace exo::vmm
