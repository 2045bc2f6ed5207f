#include "vmm/storage/disk_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/storage/temporary_file.h"

namespace exo::vmm {
namespace {

using test::TemporaryFile;
using testing::HasSubstr;

/// Root may do everything: what a permission forbids shows only to somebody else.
class AsNobody {
  public:
    AsNobody() : user_(::geteuid()) {
        if (user_ == 0 && ::seteuid(65534) != 0) ADD_FAILURE() << "cannot become nobody";
    }
    AsNobody(const AsNobody&) = delete;
    AsNobody& operator=(const AsNobody&) = delete;
    ~AsNobody() { EXPECT_EQ(::seteuid(user_), 0); }

  private:
    uid_t user_;
};

std::string why(const DiskImage::Options& options) {
    const auto image = DiskImage::open(options);
    return image ? "opened" : image.error().message();
}

TEST(DiskImage, TakesSizeFromTheFile) {
    const TemporaryFile file(7 * 512);
    const auto image = DiskImage::open({.path = file.path()});
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(image->geometry().size, 7u * 512);
    EXPECT_EQ(image->geometry().logical_block, 512u);
    EXPECT_GE(image->geometry().physical_block, 512u);
    EXPECT_FALSE(image->geometry().read_only);
}

TEST(DiskImage, DoesNotLeaveTheFileNonBlocking) {
    const TemporaryFile file(512);
    const auto image = DiskImage::open({.path = file.path()});
    ASSERT_TRUE(image);
    EXPECT_EQ(::fcntl(image->fd(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(DiskImage, MissingFile) {
    const std::string message = why({.path = "/nonexistent/disk.img"});
    EXPECT_THAT(message, HasSubstr("/nonexistent/disk.img"));
    EXPECT_THAT(message, HasSubstr("no such file"));
}

TEST(DiskImage, Directory) {
    EXPECT_THAT(why({.path = testing::TempDir()}), HasSubstr("is a directory"));
}

TEST(DiskImage, EmptyFile) {
    const TemporaryFile file(0);
    EXPECT_THAT(why({.path = file.path()}), HasSubstr("is empty"));
}

TEST(DiskImage, SizeIsNoMultipleOfASector) {
    const TemporaryFile file(1000);
    const std::string message = why({.path = file.path()});
    EXPECT_THAT(message, HasSubstr("1000 bytes"));
    EXPECT_THAT(message, HasSubstr("truncate -s %512"));
}

TEST(DiskImage, FifoDoesNotHoldUs) {
    const TemporaryFile name;
    ASSERT_EQ(::unlink(name.path().c_str()), 0);
    ASSERT_EQ(::mkfifo(name.path().c_str(), 0600), 0);
    EXPECT_THAT(why({.path = name.path()}), HasSubstr("neither a file nor a block device"));
    EXPECT_THAT(why({.path = name.path(), .read_only = true}),
                HasSubstr("neither a file nor a block device"));
}

TEST(DiskImage, CharacterDevice) {
    EXPECT_THAT(why({.path = "/dev/null"}), HasSubstr("neither a file nor a block device"));
}

TEST(DiskImage, NoPermission) {
    const TemporaryFile file(512);
    ASSERT_EQ(::chmod(file.path().c_str(), 0), 0);
    const AsNobody nobody;
    EXPECT_THAT(why({.path = file.path()}), HasSubstr("permission denied"));
    EXPECT_THAT(why({.path = file.path(), .read_only = true}), HasSubstr("permission denied"));
}

TEST(DiskImage, ReadOnlyFileToBeWritten) {
    const TemporaryFile file(512);
    ASSERT_EQ(::chmod(file.path().c_str(), 0444), 0);
    const AsNobody nobody;
    const std::string message = why({.path = file.path()});
    EXPECT_THAT(message, HasSubstr("no permission to write"));
    EXPECT_THAT(message, HasSubstr("open the disk read-only"));
    EXPECT_EQ(why({.path = file.path(), .read_only = true}), "opened");
}

TEST(DiskImage, OneWriterExcludesAllOthers) {
    const TemporaryFile file(512);
    const auto writer = DiskImage::open({.path = file.path()});
    ASSERT_TRUE(writer);
    EXPECT_THAT(why({.path = file.path()}), HasSubstr("another process has it open"));
    EXPECT_THAT(why({.path = file.path(), .read_only = true}), HasSubstr("another process has it open"));
}

TEST(DiskImage, ReadersShareAndExcludeAWriter) {
    const TemporaryFile file(512);
    const auto reader = DiskImage::open({.path = file.path(), .read_only = true});
    ASSERT_TRUE(reader);
    EXPECT_TRUE(reader->geometry().read_only);
    EXPECT_EQ(why({.path = file.path(), .read_only = true}), "opened");
    EXPECT_THAT(why({.path = file.path()}), HasSubstr("another process has it open"));
}

TEST(DiskImage, LockEndsWithTheImage) {
    const TemporaryFile file(512);
    EXPECT_EQ(why({.path = file.path()}), "opened");
    EXPECT_EQ(why({.path = file.path()}), "opened");
}

TEST(DiskImage, DirectTellsItsAlignment) {
    const TemporaryFile file(8192);
    const auto image = DiskImage::open({.path = file.path(), .direct = true});
    if (!image) GTEST_SKIP() << image.error().message();
    EXPECT_GT(image->alignment().memory, 1u);
    EXPECT_GE(image->alignment().disk, 512u);
    EXPECT_GE(image->geometry().logical_block, image->alignment().disk);
}

}  // namespace
}  // namespace exo::vmm
