#include "firmware/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/firmware/test_files.h"

namespace exo::firmware {
namespace {

using testing::HasSubstr;

struct SearchTest : testing::Test {
    TestFolder folder;
    std::filesystem::path user = folder.path() / "user";
    std::filesystem::path system = folder.path() / "system";
    std::string code = folder.put("images/OVMF_CODE_4M.fd", "code");
    std::string variables = folder.put("images/OVMF_VARS_4M.fd", "variables");
    std::string fits = descriptor(code, variables);
    std::string needs_smm = replaced(fits, "acpi-s3", "requires-smm");
};

TEST_F(SearchTest, TheFirstFittingFileNameWinsAndOthersAreNamed) {
    folder.put("system/40-secure.json", needs_smm);
    folder.put("system/60-plain.json", fits);
    folder.put("system/70-later.json", fits);
    const Search result = search({user, system});
    ASSERT_TRUE(result.chosen);
    EXPECT_EQ(result.chosen->origin, system / "60-plain.json");
    ASSERT_EQ(result.passed_over.size(), 1u);
    EXPECT_EQ(result.passed_over[0].descriptor, system / "40-secure.json");
}

TEST_F(SearchTest, TheMoreSpecificFolderReplacesAndHides) {
    folder.put("system/50-a.json", fits);
    folder.put("user/50-a.json", needs_smm);
    folder.put("system/60-b.json", fits);
    folder.put("user/60-b.json", "");
    EXPECT_FALSE(search({user, system}).chosen);
    folder.put("system/70-c.json", fits);
    EXPECT_EQ(search({user, system}).chosen->origin, system / "70-c.json");
}

TEST_F(SearchTest, ADescriptorOfMissingFilesIsPassedOver) {
    folder.put("system/60-plain.json", descriptor("/nonexistent/CODE.fd", variables));
    const auto build = choose({system});
    ASSERT_FALSE(build);
    EXPECT_THAT(build.error().message(), HasSubstr("/nonexistent/CODE.fd does not exist"));
}

TEST_F(SearchTest, NothingFoundNamesFoldersAndTheRemedy) {
    const auto build = choose({user, system});
    ASSERT_FALSE(build);
    EXPECT_THAT(build.error().message(), HasSubstr(system.string()));
    EXPECT_THAT(build.error().action, HasSubstr("apt install ovmf"));
}

TEST_F(SearchTest, ANamedCodeFileFindsItsVariables) {
    EXPECT_EQ(named(code, {})->variables, variables);
    const auto variant = folder.put("images/OVMF_CODE_4M.other.fd", "code");
    EXPECT_EQ(named(variant, {})->variables, variables);
    const auto combined = folder.put("images/OVMF.fd", "both");
    EXPECT_TRUE(named(combined, {})->variables.empty());
}

TEST_F(SearchTest, ANamedFileThatIsKnownNotToFitIsRefused) {
    folder.put("system/40-secure.json", needs_smm);
    const auto build = named(code, {system});
    ASSERT_FALSE(build);
    EXPECT_THAT(build.error().message(), HasSubstr("SMM"));
}

TEST_F(SearchTest, ANamedFileMustBeAFile) {
    EXPECT_THAT(named(folder.path() / "absent.fd", {}).error().message(), HasSubstr("no such file"));
    EXPECT_THAT(named(folder.path(), {}).error().message(), HasSubstr("not a file"));
}

}  // namespace
}  // namespace exo::firmware
