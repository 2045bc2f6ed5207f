#include "vmm/machine/snapshot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace exo::vmm {
namespace {

using testing::HasSubstr;

constexpr std::size_t page = 4096;
const std::vector<SnapshotFact> facts = {{"vmm", "1.0"}, {"number of CPUs", "2"}};

struct SnapshotFileTest : testing::Test {
    std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / fmt::format("snapshot-{}", ::getpid());
    std::filesystem::path path = folder / "a.snapshot";
    std::vector<std::byte> state{std::byte{1}, std::byte{2}, std::byte{3}};
    std::vector<std::byte> memory = std::vector<std::byte>(64 * page);

    SnapshotFileTest() {
        std::filesystem::create_directory(folder);
        memory[0] = std::byte{7};
        memory[40 * page + 5] = std::byte{9};
        memory[64 * page - 1] = std::byte{8};
    }
    ~SnapshotFileTest() override { std::filesystem::remove_all(folder); }

    void write() {
        const auto done = SnapshotFile::write(path, facts, state, memory);
        ASSERT_TRUE(done) << done.error().message();
    }
    std::string content() const {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void put(const std::string& bytes) const {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    }
    std::string refusal() const {
        const auto opened = SnapshotFile::open(path);
        return opened ? "" : opened.error().message();
    }
};

TEST_F(SnapshotFileTest, HoldsStateAndMemory) {
    write();
    const auto read = SnapshotFile::open(path);
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_TRUE(std::ranges::equal(read->state(), state));
    EXPECT_EQ(read->memory_offset() % page, 0u);
    ASSERT_EQ(read->memory_size(), memory.size());
    std::vector<std::byte> back(memory.size());
    ASSERT_EQ(::pread(read->fd(), back.data(), back.size(), static_cast<off_t>(read->memory_offset())),
              static_cast<ssize_t>(back.size()));
    EXPECT_EQ(back, memory);
}

TEST_F(SnapshotFileTest, LeavesPagesOfZeroesOut) {
    write();
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_LT(status.st_blocks * 512, static_cast<std::int64_t>(32 * page));
    EXPECT_EQ(status.st_mode & 0777, 0600u) << "it holds a guest's memory";
}

TEST_F(SnapshotFileTest, LeavesNothingElseInTheFolder) {
    write();
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
    EXPECT_FALSE(SnapshotFile::write(folder / "none" / "a", facts, state, memory));
}

// Machines that share a folder have processes of the same number.
TEST_F(SnapshotFileTest, LeavesTheUnfinishedFileOfAProcessWithTheSameNumberAlone) {
    std::filesystem::path other = path;
    other += fmt::format(".new.{}", ::getpid());
    std::ofstream(other) << "half of a snapshot";
    write();
    std::string left;
    std::getline(std::ifstream(other), left);
    EXPECT_EQ(left, "half of a snapshot");
}

TEST_F(SnapshotFileTest, TellsWhichFactDiffers) {
    write();
    const auto read = SnapshotFile::open(path);
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->check(facts));
    const auto other = read->check({{"vmm", "1.0"}, {"number of CPUs", "3"}});
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().message(), HasSubstr("its number of CPUs is 2, and this machine's is 3"));
    EXPECT_FALSE(read->check({{"memory", "1"}}));
}

TEST_F(SnapshotFileTest, RefusesWhatIsCutOffAnywhere) {
    write();
    const std::string whole = content();
    for (const std::size_t length : {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{63},
                                     std::size_t{70}, page, page + 1, whole.size() - 1}) {
        put(whole.substr(0, length));
        EXPECT_NE(refusal(), "") << length << " bytes";
    }
    put(whole + "x");
    EXPECT_THAT(refusal(), HasSubstr("length is wrong"));
}

TEST_F(SnapshotFileTest, RefusesDamageInEachByteOfHeaderFactsAndState) {
    write();
    const std::string whole = content();
    const auto read = SnapshotFile::open(path);
    ASSERT_TRUE(read);
    std::size_t end = sizeof(SnapshotFile::Header);
    end = whole.find_last_not_of('\0', read->memory_offset() - 1) + 1;
    for (std::size_t at = 0; at < end; ++at) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        put(damaged);
        EXPECT_NE(refusal(), "") << "byte " << at;
    }
}

TEST_F(SnapshotFileTest, TellsAnotherFormatFromDamage) {
    write();
    std::string other = content();
    other[offsetof(SnapshotFile::Header, format)] = 2;
    put(other);
    EXPECT_THAT(refusal(), HasSubstr("its format is 2, and this vmm knows format 1"));
    put("#!/bin/sh");
    EXPECT_THAT(refusal(), HasSubstr("another kind"));
}

}  // namespace
}  // namespace exo::vmm
