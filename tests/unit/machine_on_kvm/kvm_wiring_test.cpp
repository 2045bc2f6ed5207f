#include <gtest/gtest.h>

#include <optional>

#include "vmm/kvm/system.h"
#include "vmm/machine/kvm_doorbells.h"
#include "vmm/machine/kvm_msix.h"

namespace exo::vmm {
namespace {

constexpr std::uint64_t doorbells = 0x1000;
constexpr AddressRange first_place{0xc000'0000, 0x4000};
constexpr AddressRange second_place{0xd000'0000, 0x4000};

struct KvmWiring : testing::Test {
    std::optional<KvmSystem> system;
    std::optional<Vm> vm;
    std::vector<Error> broken;
    std::function<void(const Error&)> on_broken = [this](const Error& error) { broken.push_back(error); };

    void SetUp() override {
        auto opened = KvmSystem::open();
        if (!opened) GTEST_SKIP() << opened.error().message();
        system.emplace(std::move(*opened));
        auto made = Vm::create(*system);
        ASSERT_TRUE(made) << made.error().message();
        vm.emplace(std::move(*made));
        ASSERT_TRUE(vm->create_interrupt_controllers());
    }
};

TEST_F(KvmWiring, DoorbellsFollowTheBar) {
    const auto event = EventFd::create();
    ASSERT_TRUE(event);
    const auto at = [&](AddressRange place) {
        return Doorbell{.address = place.start + doorbells, .size = 4, .port = false, .event = event->get()};
    };
    KvmDoorbells listener(*vm, {.bar = 0, .offset = doorbells, .size = 4}, {event->get()}, on_broken);
    listener.bar_mapped(1, first_place);
    EXPECT_FALSE(vm->detach_doorbell(at(first_place))) << "another BAR has none";
    listener.bar_mapped(0, first_place);
    listener.bar_unmapped(0, first_place);
    listener.bar_mapped(0, second_place);
    EXPECT_FALSE(vm->detach_doorbell(at(first_place))) << "it has moved away";
    EXPECT_TRUE(vm->detach_doorbell(at(second_place)));
    EXPECT_TRUE(broken.empty());
    listener.bar_unmapped(0, second_place);
    EXPECT_EQ(broken.size(), 1u) << "KVM's refusal is told";
}

TEST_F(KvmWiring, AVectorHasARouteOnceItHasAMessage) {
    std::vector<MsiRoute> committed;
    MsiRoutes routes([&](std::span<const MsiRoute> all) {
        committed.assign(all.begin(), all.end());
        return vm->set_routes(all);
    });
    auto msix = KvmMsix::create(*vm, routes, 2, on_broken);
    ASSERT_TRUE(msix) << msix.error().message();
    (*msix)->route(1, MsiMessage{0xfee0'0000, 0x42});
    (*msix)->route(1, std::nullopt);
    (*msix)->route(1, MsiMessage{0xfee0'1000, 0x43});
    ASSERT_EQ(committed.size(), 1u);
    EXPECT_EQ(committed[0].gsi, first_msi_gsi + 1);
    EXPECT_EQ(committed[0].message, (Msi{0xfee0'1000, 0x43}));
    (*msix)->deliver(1);
    EXPECT_TRUE(broken.empty());
}

}  // namespace
}  // namespace exo::vmm
