#include "vmm/cli/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/cli/test_files.h"

namespace exo::vmm {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

struct LogTest : testing::Test {
    TestFolder folder;
    std::string file = folder / "vmm.log";

    std::string content() const {
        std::ostringstream text;
        text << std::ifstream(file).rdbuf();
        return text.str();
    }
};

TEST_F(LogTest, ALineHasTimeLevelTextAndFields) {
    const auto log = Log::open({.level = LogLevel::info, .format = LogFormat::text, .file = file});
    ASSERT_TRUE(log) << log.error().message();
    log->info("the machine is made", {{"cpus", 2}, {"kernel", "my exo.efi"}});
    log->debug("not told at this level");
    EXPECT_THAT(content(), EndsWith("info    the machine is made cpus=2 kernel=\"my exo.efi\"\n"));
    EXPECT_EQ(content().find("not told"), std::string::npos);
}

TEST_F(LogTest, JsonIsAnObjectALine) {
    const auto log = Log::open({.level = LogLevel::debug, .format = LogFormat::json, .file = file});
    ASSERT_TRUE(log) << log.error().message();
    log->debug("a \"quoted\"\ntext with {} and %v", {{"file", "a\"\xff.img"}, {"bytes", 5u}});
    const auto json = nlohmann::json::parse(content());
    EXPECT_EQ(json["level"], "debug");
    EXPECT_EQ(json["message"], "a \"quoted\"\ntext with {} and %v");
    EXPECT_EQ(json["bytes"], 5);
    EXPECT_THAT(json["file"].get<std::string>(), HasSubstr("a\""));
    EXPECT_TRUE(json.contains("time"));
}

TEST_F(LogTest, TheFileIsAppendedToAndWarningsAreToldTwice) {
    folder.put("vmm.log", "before\n");
    testing::internal::CaptureStderr();
    const auto log = Log::open({.level = LogLevel::info, .format = LogFormat::json, .file = file});
    ASSERT_TRUE(log) << log.error().message();
    log->info("quiet");
    log->warning("the guest restarts");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "vmm: the guest restarts\n");
    EXPECT_THAT(content(), HasSubstr("before\n"));
    EXPECT_THAT(content(), HasSubstr("quiet"));
    EXPECT_THAT(content(), HasSubstr("the guest restarts"));
}

TEST_F(LogTest, AFileThatCannotBeIsRefused) {
    const auto log = Log::open({.file = folder.path()});
    ASSERT_FALSE(log);
    EXPECT_THAT(log.error().message(), HasSubstr("cannot write --log-file"));
}

}  // namespace
}  // namespace exo::vmm
