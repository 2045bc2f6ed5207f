#include "firmware/descriptor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/firmware/test_files.h"

namespace exo::firmware {
namespace {

using testing::HasSubstr;

void expect_passed_over(const std::string& json, const char* reason) {
    const auto build = parse_descriptor(json);
    ASSERT_FALSE(build) << json;
    EXPECT_THAT(build.error(), HasSubstr(reason));
}

TEST(Descriptor, DebiansPlainBuildFits) {
    const auto build = parse_descriptor(descriptor());
    ASSERT_TRUE(build) << build.error();
    EXPECT_EQ(build->code, "/c/OVMF_CODE_4M.fd");
    EXPECT_EQ(build->variables, "/c/OVMF_VARS_4M.fd");
}

TEST(Descriptor, WhatDoesNotFitIsToldWhy) {
    const std::string fits = descriptor();
    expect_passed_over(replaced(fits, "\"acpi-s3\"", "\"requires-smm\""), "SMM");
    expect_passed_over(replaced(fits, "\"acpi-s3\"", "\"secure-boot\""), "Secure Boot");
    expect_passed_over(replaced(fits, "\"raw\"", "\"qcow2\""), "qcow2");
    expect_passed_over(replaced(fits, "\"pc-i440fx-*\", ", ""), "pc-i440fx");
    expect_passed_over(replaced(fits, "\"x86_64\"", "\"aarch64\""), "x86_64");
    expect_passed_over(replaced(fits, "\"uefi\"", "\"bios\""), "UEFI");
    expect_passed_over(replaced(fits, "\"flash\"", "\"memory\""), "memory");
    expect_passed_over(replaced(fits, "\"flash\"", "\"flash\", \"mode\": \"stateless\""), "stateless");
}

TEST(Descriptor, ACombinedImageNeedsNoVariables) {
    const auto build =
        parse_descriptor(replaced(descriptor(), "\"flash\"", "\"flash\", \"mode\": \"combined\""));
    ASSERT_TRUE(build) << build.error();
    EXPECT_TRUE(build->variables.empty());
}

TEST(Descriptor, NonsenseIsNoDescriptor) {
    for (const char* text : {"", "{", "[]", "null", "{\"mapping\": 3}", "{\"interface-types\": 7}"})
        expect_passed_over(text, "not a firmware descriptor");
    expect_passed_over(replaced(descriptor(), "[\"uefi\"]", "[1]"), "not a firmware descriptor");
}

}  // namespace
}  // namespace exo::firmware
