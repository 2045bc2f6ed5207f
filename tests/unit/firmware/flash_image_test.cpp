#include "firmware/flash_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/firmware/test_files.h"

namespace exo::firmware {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t store_size = 8192;

struct FlashImageTest : testing::Test {
    TestFolder folder;

    Build split(const std::string& code, const std::string& variables) const {
        return {.code = folder.put("CODE.fd", code),
                .variables = folder.put("VARS.fd", variables),
                .description = {},
                .origin = {}};
    }
    Build combined(const std::string& image) const {
        return {.code = folder.put("OVMF.fd", image), .variables = {}, .description = {}, .origin = {}};
    }
    static void expect_refused(const Build& build, const char* reason) {
        const auto image = FlashImage::load(build);
        ASSERT_FALSE(image);
        EXPECT_THAT(image.error().message(), HasSubstr(reason));
    }
};

const std::string store = volume(store_size, true);
const std::string reset_vector(15, '\x90');
const std::string code = volume(12288, false, 'm') + volume(4096, false, 's').substr(0, 4081) + reset_vector;

TEST_F(FlashImageTest, VariablesLieDirectlyBelowTheCode) {
    const auto image = FlashImage::load(split(code, store));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(image->variables().size(), store_size);
    EXPECT_EQ(image->code().size(), code.size());
    EXPECT_EQ(image->variables().data() + store_size, image->code().data());
    EXPECT_EQ(std::memcmp(image->code().data(), code.data(), code.size()), 0);
}

TEST_F(FlashImageTest, ACombinedImageIsAllCode) {
    const auto image = FlashImage::load(combined(store + code));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_TRUE(image->variables().empty());
    EXPECT_EQ(image->code().size(), store.size() + code.size());
}

TEST_F(FlashImageTest, TruncatedEmptyAndForeignFilesAreRefused) {
    expect_refused(split(code.substr(0, code.size() - 4096), store), "truncated");
    expect_refused(split(code.substr(0, 12288 + 20), store), "truncated");
    expect_refused(split("", store), "empty");
    expect_refused(split(std::string(8192, 'x'), store), "no UEFI firmware volume");
    expect_refused(split(code, store.substr(0, 4096)), "truncated");
    expect_refused(split(code, ""), "variable store is not there");
    expect_refused(split(code, code), "not a variable store");
    expect_refused(split(volume(6000, false), store), "no multiple of 4096");
}

TEST_F(FlashImageTest, RolesMixedUpAreTold) {
    expect_refused(combined(code), "variable store is not there");
    expect_refused(combined(store), "it is a variable store");
    expect_refused(split(store + code, store), "another one beside it");
}

TEST_F(FlashImageTest, AVolumeOfNoLengthDoesNotLoopForever) {
    std::string nothing = code;
    std::memset(nothing.data() + 32, 0, 8);
    expect_refused(split(nothing, store), "damaged");
    std::memset(nothing.data() + 32, 0xff, 8);
    expect_refused(split(nothing, store), "damaged");
}

TEST_F(FlashImageTest, MissingAndHugeFilesAreRefused) {
    expect_refused({.code = folder.path() / "absent.fd", .variables = {}, .description = {}, .origin = {}},
                   "No such file");
    const Build huge = combined("");
    std::filesystem::resize_file(huge.code, std::uint64_t{17} << 20);
    expect_refused(huge, "more than a flash may have");
}

}  // namespace
}  // namespace exo::firmware
