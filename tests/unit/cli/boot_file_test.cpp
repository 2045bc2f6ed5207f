#include "vmm/cli/boot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/cli/test_files.h"

namespace exo::vmm {
namespace {

using testing::HasSubstr;

struct BootFileTest : testing::Test {
    static constexpr std::uint64_t memory = 64u << 20;
    TestFolder folder;

    static std::string text_of(const BootFile& file) {
        return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
    }
};

TEST_F(BootFileTest, IsReadWhenItIsOpened) {
    const auto file = BootFile::open_kernel(folder.put("kernel", "its bytes"), memory);
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(text_of(*file), "its bytes");
}

TEST_F(BootFileTest, IsReadAgainAfterItWasReleased) {
    auto file = BootFile::open_initrd(folder.put("initrd", "its bytes"), memory);
    ASSERT_TRUE(file) << file.error().message();
    file->release();
    EXPECT_TRUE(file->bytes().empty());
    ASSERT_TRUE(file->load());
    EXPECT_EQ(text_of(*file), "its bytes");
}

TEST_F(BootFileTest, StaysTheFileThatWasOpenedWhenAnotherTakesItsName) {
    const auto path = folder.put("kernel", "first");
    auto file = BootFile::open_kernel(path, memory);
    ASSERT_TRUE(file) << file.error().message();
    file->release();
    std::filesystem::rename(folder.put("newer", "other"), path);
    ASSERT_TRUE(file->load());
    EXPECT_EQ(text_of(*file), "first");
}

TEST_F(BootFileTest, CutOffWhileItWasReleasedIsAnError) {
    const auto path = folder.put("kernel", "its bytes");
    auto file = BootFile::open_kernel(path, memory);
    ASSERT_TRUE(file) << file.error().message();
    file->release();
    std::filesystem::resize_file(path, 3);
    const auto loaded = file->load();
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message(), HasSubstr("it has become shorter"));
}

TEST_F(BootFileTest, NoFileHasNoBytes) {
    BootFile none;
    EXPECT_TRUE(none.load());
    EXPECT_TRUE(none.bytes().empty());
}

TEST_F(BootFileTest, MissingFilesFoldersAndHugeFiles) {
    EXPECT_THAT(BootFile::open_kernel(folder / "absent", memory).error().message(),
                HasSubstr("No such file"));
    EXPECT_THAT(BootFile::open_kernel(folder.path(), memory).error().message(), HasSubstr("not a file"));
    const auto huge = folder.put("huge", "x");
    std::filesystem::resize_file(huge, memory);
    EXPECT_THAT(BootFile::open_kernel(huge, memory).error().message(), HasSubstr("do not fit into 64 MiB"));
}

}  // namespace
}  // namespace exo::vmm
