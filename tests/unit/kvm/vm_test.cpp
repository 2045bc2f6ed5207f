#include "vmm/kvm/vm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/unit/kvm/test_machine.h"
#include "vmm/base/event_fd.h"
#include "vmm/kvm/statistics.h"

namespace exo::vmm {
namespace {

using namespace vcpu_exit;

#define MACHINE_OR_SKIP(name, ...)                     \
    const unsigned char name##_code[] = {__VA_ARGS__}; \
    TestMachine name(name##_code);                     \
    if (!name.vcpu) GTEST_SKIP() << name.failure

TEST(Vcpu, StartsAtTheResetVectorAndWritesAPort) {
    MACHINE_OR_SKIP(machine, 0xb0, 0x5a, 0xe6, 0xe0, 0xf4);  // mov al, 5a; out e0, al; hlt
    const VcpuExit exit = machine.vcpu->run();
    const auto* write = std::get_if<PortWrite>(&exit);
    ASSERT_NE(write, nullptr) << exit.index();
    EXPECT_EQ(write->port, 0xe0);
    EXPECT_EQ(write->size, 1);
    ASSERT_EQ(write->data.size(), 1u);
    EXPECT_EQ(write->data[0], std::byte{0x5a});
}

TEST(Vcpu, RepInsbGivesOneExitForManyBytes) {
    // xor di, di; mov cx, 5; mov dx, 0x511; cld; rep insb; out 0x80, al
    MACHINE_OR_SKIP(machine, 0x31, 0xff, 0xb9, 5, 0, 0xba, 0x11, 0x05, 0xfc, 0xf3, 0x6c, 0xe6, 0x80);
    std::size_t bytes = 0;
    while (bytes < 5) {
        const VcpuExit exit = machine.vcpu->run();
        const auto* read = std::get_if<PortRead>(&exit);
        ASSERT_NE(read, nullptr) << exit.index();
        EXPECT_EQ(read->port, 0x511);
        for (std::byte& byte : read->data) byte = static_cast<std::byte>(++bytes);
    }
    EXPECT_EQ(bytes, 5u);
    ASSERT_TRUE(std::holds_alternative<PortWrite>(machine.vcpu->run())) << "the copy ends before the next";
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(machine.ram[i], static_cast<std::byte>(i + 1));
}

TEST(Vcpu, AWriteToReadOnlyMemoryIsAnMmioExitAndChangesNothing) {
    MACHINE_OR_SKIP(machine, 0x2e, 0xc6, 0x06, 0x00, 0xf0, 0x77, 0xf4);  // mov byte cs:[f000], 77
    const VcpuExit exit = machine.vcpu->run();
    const auto* write = std::get_if<MmioWrite>(&exit);
    ASSERT_NE(write, nullptr) << exit.index();
    EXPECT_EQ(write->address.value, 0xffff'f000u);
    EXPECT_EQ(write->data[0], std::byte{0x77});
    EXPECT_EQ(machine.rom[0], std::byte{0});
}

TEST(Vcpu, AReadOfNothingIsAnMmioExit) {
    // mov ax, 0x2000; mov ds, ax; mov al, [0]; out 0xe0, al
    MACHINE_OR_SKIP(machine, 0xb8, 0x00, 0x20, 0x8e, 0xd8, 0xa0, 0x00, 0x00, 0xe6, 0xe0, 0xf4);
    const VcpuExit exit = machine.vcpu->run();
    const auto* read = std::get_if<MmioRead>(&exit);
    ASSERT_NE(read, nullptr) << exit.index();
    EXPECT_EQ(read->address.value, 0x2'0000u);
    read->data[0] = std::byte{0xab};
    const VcpuExit next = machine.vcpu->run();
    ASSERT_TRUE(std::holds_alternative<PortWrite>(next));
    EXPECT_EQ(std::get<PortWrite>(next).data[0], std::byte{0xab});
}

TEST(Vcpu, ATripleFaultIsAShutdown) {
    MACHINE_OR_SKIP(machine, 0x2e, 0x0f, 0x01, 0x1e, 0xfa, 0xff, 0x0f,
                    0x0b);  // an empty interrupt table (lidt cs:[fffa]); ud2
    VcpuExit exit = machine.vcpu->run();
    EXPECT_TRUE(std::holds_alternative<Shutdown>(exit)) << exit.index();
}

TEST(Vcpu, ARequestBeforeTheRunIsNotLost) {
    MACHINE_OR_SKIP(machine, 0xeb, 0xfe);  // jmp self
    machine.vcpu->request_exit();
    EXPECT_TRUE(std::holds_alternative<Interrupted>(machine.vcpu->run()));
}

TEST(Vcpu, ASignalEndsASpinningGuest) {
    MACHINE_OR_SKIP(machine, 0xeb, 0xfe);
    std::signal(SIGUSR1, [](int) {});
    std::atomic<bool> interrupted = false;
    std::thread runner([&] { interrupted = std::holds_alternative<Interrupted>(machine.vcpu->run()); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    machine.vcpu->request_exit();
    pthread_kill(runner.native_handle(), SIGUSR1);
    runner.join();
    EXPECT_TRUE(interrupted);
}

TEST(Vcpu, RegistersAreTold) {
    MACHINE_OR_SKIP(machine, 0xb8, 0x34, 0x12, 0xe6, 0xe0);  // mov ax, 1234; out e0, al
    machine.vcpu->run();
    const std::string text = machine.vcpu->describe_state(GuestMemory{});
    EXPECT_THAT(text, testing::HasSubstr("rax 0000000000001234"));
    EXPECT_THAT(text, testing::HasSubstr("cs  f000 base 00000000ffff0000"));
}

TEST(Vm, ADoorbellDoesNotComeToUserSpace) {
    // mov dx, 0x600; mov ax, 1; out dx, ax; out 0xe0, al
    MACHINE_OR_SKIP(machine, 0xba, 0x00, 0x06, 0xb8, 0x01, 0x00, 0xef, 0xe6, 0xe0);
    auto event = EventFd::create();
    ASSERT_TRUE(event);
    const Doorbell doorbell{.address = 0x600, .size = 2, .port = true, .event = event->get()};
    ASSERT_TRUE(machine.vm->attach_doorbell(doorbell));
    const VcpuExit exit = machine.vcpu->run();
    ASSERT_TRUE(std::holds_alternative<PortWrite>(exit));
    EXPECT_EQ(std::get<PortWrite>(exit).port, 0xe0);
    EXPECT_EQ(event->drain(), 1u);
    EXPECT_TRUE(machine.vm->detach_doorbell(doorbell));
    EXPECT_FALSE(machine.vm->detach_doorbell(doorbell)) << "it is gone";
}

TEST(Vm, RoutesAndInterruptsAreTaken) {
    MACHINE_OR_SKIP(machine, 0xf4);
    auto event = EventFd::create();
    ASSERT_TRUE(event);
    const MsiRoute route{first_msi_gsi, {0xfee0'0000, 0x41}};
    const auto routed = machine.vm->set_routes({&route, 1});
    ASSERT_TRUE(routed) << routed.error().message();
    const auto attached = machine.vm->attach_interrupt(event->get(), first_msi_gsi);
    ASSERT_TRUE(attached) << attached.error().message();
    EXPECT_TRUE(machine.vm->detach_interrupt(event->get(), first_msi_gsi));
}

TEST(Vm, SlotsMayNotOverlap) {
    MACHINE_OR_SKIP(machine, 0xf4);
    const auto mapped = machine.vm->map({.slot = 2, .start = {0}, .host = machine.rom});
    ASSERT_FALSE(mapped);
    EXPECT_THAT(mapped.error().message(), testing::HasSubstr("4096 bytes at 0x0"));
    EXPECT_TRUE(machine.vm->unmap(0));
    EXPECT_TRUE(machine.vm->map({.slot = 2, .start = {0}, .host = machine.rom}));
}

TEST(Vcpu, CpuidIsTakenAndExitsAreCounted) {
    MACHINE_OR_SKIP(machine, 0xe6, 0xe0, 0xf4);
    const auto supported = machine.system->supported_cpuid();
    ASSERT_TRUE(supported);
    const auto set =
        machine.vcpu->set_cpuid(cpuid_for_vcpu(*supported, 0, {.cpus = 4, .tsc_deadline = true}));
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_TRUE(machine.vcpu->set_initial_msrs());
    machine.vcpu->run();
    const auto file = machine.vcpu->statistics();
    if (!file) GTEST_SKIP() << file.error().message();
    const auto statistics = read_statistics(file->get());
    ASSERT_TRUE(statistics) << statistics.error().message();
    const auto exits = std::ranges::find(*statistics, "exits", &KvmStatistic::name);
    ASSERT_NE(exits, statistics->end());
    EXPECT_GE(exits->value, 1u);
}

}  // namespace
}  // namespace exo::vmm
