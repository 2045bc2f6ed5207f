#include "vmm/cli/kernel_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/cli/test_files.h"
#include "vmm/cli/boot_file.h"

namespace exo::vmm {
namespace {

using testing::HasSubstr;

struct KernelImageTest : testing::Test {
    static constexpr std::uint64_t memory = 64u << 20;
    TestFolder folder;

    void expect_refused(const std::string& content, const char* reason) const {
        const auto image = BootFile::open_kernel(folder.put("kernel", content), memory);
        ASSERT_TRUE(image) << image.error().message();
        const auto checked = check_efi_application(image->bytes(), "kernel");
        ASSERT_FALSE(checked) << reason;
        EXPECT_THAT(checked.error().message(), HasSubstr(reason));
    }
};

TEST_F(KernelImageTest, WhatIsNoEfiApplicationIsRefused) {
    expect_refused("", "the file is empty");
    expect_refused("MZ", "not a PE file");
    expect_refused("#!/bin/sh\n", "not a PE file");
    std::string elf(100, 'x');
    elf.replace(0, 4,
                "\x7f"
                "ELF");
    expect_refused(elf, "it is an ELF file");
    expect_refused(efi_application().substr(0, 0x90), "not a PE file");
    auto image = efi_application();
    image.replace(0x84, 2, "\x4c\x01");
    expect_refused(image, "another processor");
    image = efi_application();
    image[0x80 + 24 + 68] = 3;
    expect_refused(image, "not an EFI application");
    image = efi_application();
    image.replace(0x3c, 4, "\xf0\xff\xff\xff");
    expect_refused(image, "not a PE file");
}

/// It once went to the firmware, which said nothing that anyone could act on.
TEST_F(KernelImageTest, AnImageThatWasCutOffIsRefused) {
    const std::string whole = efi_application();
    EXPECT_TRUE(check_efi_application(std::as_bytes(std::span(whole)), "kernel"));
    expect_refused(whole.substr(0, whole.size() - 1), "it was cut off");
}

}  // namespace
}  // namespace exo::vmm
