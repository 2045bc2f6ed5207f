#include "vmm/cli/inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/cli/test_files.h"

namespace exo::vmm {
namespace {

using testing::HasSubstr;

/// A code file and its variable store that pass for firmware.
std::string put_firmware(const TestFolder& folder) {
    const auto volume = [](std::uint64_t size) {
        std::string bytes(size, '\xff');
        std::memcpy(bytes.data() + 32, &size, sizeof(size));
        return bytes.replace(40, 4, "_FVH");
    };
    const char store[] = "\x8d\x2b\xf1\xff\x96\x76\x8b\x4c\xa9\x85\x27\x47\x07\x5b\x4f\x50";
    folder.put("VARS.fd", volume(4096).replace(16, 16, store, 16));
    return folder.put("CODE.fd", volume(4096).replace(4090, 2, "\xe9\x01"));
}

struct InputsTest : testing::Test {
    TestFolder folder;
    RunOptions options;
    Log log = *Log::open({});

    InputsTest() {
        options.kernel = folder.put("exo.efi", efi_application());
        options.firmware = put_firmware(folder);
        options.memory = 64u << 20;
    }
    void expect_refused(const char* text) const {
        const auto inputs = load_inputs(options, log);
        ASSERT_FALSE(inputs) << text;
        EXPECT_THAT(inputs.error().message(), HasSubstr(text));
    }
};

TEST_F(InputsTest, GoodOnesAreOpened) {
    options.disks = {{.path = folder.put("a.img", std::string(1024, 'a'))}};
    const auto inputs = load_inputs(options, log);
    ASSERT_TRUE(inputs) << inputs.error().message();
    EXPECT_EQ(inputs->disks.size(), 1u);
    EXPECT_EQ(inputs->disks[0]->geometry().size, 1024u);
    EXPECT_EQ(inputs->firmware->code().size(), 4096u);
}

TEST_F(InputsTest, DisksThatCannotBe) {
    options.disks = {{.path = folder / "absent.img"}};
    expect_refused("absent.img");
    options.disks = {{.path = folder.put("empty.img", "")}};
    expect_refused("empty.img");
    options.disks = {{.path = folder.put("odd.img", std::string(513, 'x'))}};
    expect_refused("512");
    options.disks = {{.path = folder.path()}};
    expect_refused(folder.path().c_str());
}

TEST_F(InputsTest, OneDiskTwiceOnlyWhenNobodyWrites) {
    const std::string image = folder.put("a.img", std::string(512, 'a'));
    std::filesystem::create_symlink(image, folder / "b.img");
    options.disks = {{.path = image}, {.path = folder / "b.img"}};
    expect_refused("as two disks");
    options.disks[0].read_only = true;
    expect_refused("as two disks");
    options.disks[1].read_only = true;
    EXPECT_TRUE(load_inputs(options, log));
}

TEST_F(InputsTest, TruncatedFirmware) {
    std::filesystem::resize_file(options.firmware, 2048);
    expect_refused("truncated");
}

TEST_F(InputsTest, FilesThatCannotBeWrittenAreToldBeforeAnythingRuns) {
    options.metrics = folder / "absent/m.json";
    expect_refused("--metrics");
    options.metrics = folder.path();
    expect_refused("it is a folder");
    options.metrics = folder / "m.json";
    options.trace_io = folder / "absent/t";
    expect_refused("--trace-io");
    options.trace_io.clear();
    EXPECT_TRUE(load_inputs(options, log));
    EXPECT_FALSE(std::filesystem::exists(folder / "m.json")) << "checked, not written";
}

}  // namespace
}  // namespace exo::vmm
