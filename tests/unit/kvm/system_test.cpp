#include "vmm/kvm/system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace exo::vmm {
namespace {

using testing::HasSubstr;

TEST(KvmSystem, WithoutTheDeviceItPointsAtTheBox) {
    const auto system = KvmSystem::open("/nonexistent/kvm");
    ASSERT_FALSE(system);
    EXPECT_THAT(system.error().message(), HasSubstr("/nonexistent/kvm: No such file or directory"));
    EXPECT_THAT(system.error().action, HasSubstr("tools/run"));
}

TEST(KvmSystem, AnotherDeviceIsNotKvm) {
    const auto system = KvmSystem::open("/dev/null");
    ASSERT_FALSE(system);
    EXPECT_THAT(system.error().message(), HasSubstr("does not answer as KVM does"));
}

TEST(KvmSystem, AParavirtualKvmIsRefusedWithItsReason) {
    if (host_has_hardware_virtualization()) GTEST_SKIP() << "this processor virtualizes";
    const auto system = KvmSystem::open();
    ASSERT_FALSE(system);
    EXPECT_THAT(system.error().action, HasSubstr("tools/run"));
}

TEST(KvmSystem, HasWhatTheMachineNeeds) {
    const auto system = KvmSystem::open();
    if (!system) GTEST_SKIP() << system.error().message();
    const auto required = system->check_required();
    EXPECT_TRUE(required) << required.error().message();
    EXPECT_GE(system->max_vcpus(), 64u);
    EXPECT_GE(*system->vcpu_area_size(), 4096u);
    const auto cpuid = system->supported_cpuid();
    ASSERT_TRUE(cpuid) << cpuid.error().message();
    EXPECT_GT(cpuid->size(), 10u);
}

}  // namespace
}  // namespace exo::vmm
