#include "vmm/machine/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "shared/platform/exit_status.h"
#include "vmm/storage/memory_disk.h"

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::size_t rom_size = 65536;

struct Transcript final : SerialOutput {
    std::string text;
    std::size_t put(std::span<const std::byte> bytes) override {
        for (const std::byte byte : bytes) text += static_cast<char>(byte);
        return bytes.size();
    }
};

/// A machine whose firmware is a few bytes of real-mode code at the reset vector's segment.
struct MachineTest : testing::Test {
    SystemClock clock;
    Transcript console;
    std::span<std::byte> rom{static_cast<std::byte*>(::mmap(nullptr, rom_size, PROT_READ | PROT_WRITE,
                                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
                             rom_size};
    std::vector<platform::BootPhase> phases;
    std::unique_ptr<Machine> machine;

    ~MachineTest() override {
        machine.reset();
        ::munmap(rom.data(), rom_size);
    }

    /// Puts `code` at F000:0000, with a jump to it at the reset vector. False when there is no KVM.
    bool make(std::vector<unsigned char> code, unsigned cpus = 1, std::vector<DiskConfig> disks = {}) {
        const auto system = KvmSystem::open();
        if (!system) {
            skipped = system.error().message();
            return false;
        }
        constexpr unsigned char jump[] = {0xe9, 0x0d, 0x00};  // from F000:FFF0 to F000:0000
        std::memcpy(rom.data() + rom_size - 16, jump, sizeof(jump));
        std::memcpy(rom.data(), code.data(), code.size());
        auto made =
            Machine::create(*system,
                            {.cpus = cpus,
                             .ram = layout::split_ram(64 * layout::mib),
                             .flash_variables = {},
                             .flash_code = rom,
                             .kernel = {},
                             .command_line = {},
                             .disks = std::move(disks)},
                            {.clock = clock,
                             .console = console,
                             .firmware_log = {},
                             .boot_phase = [this](platform::BootPhase phase) { phases.push_back(phase); }});
        EXPECT_TRUE(made) << made.error().message();
        machine = std::move(*made);
        return true;
    }

    MachineEnd run() {
        EXPECT_TRUE(machine->start());
        pollfd ended{machine->ended_fd(), POLLIN, 0};
        EXPECT_EQ(::poll(&ended, 1, 20'000), 1) << "the machine did not end";
        machine->stop();
        return machine->wait();
    }

    std::string skipped;
};

#define MAKE_OR_SKIP(...) \
    if (!make(__VA_ARGS__)) GTEST_SKIP() << skipped

TEST_F(MachineTest, TheExitPortEndsItWithItsStatus) {
    MAKE_OR_SKIP({0xba, 0x00, 0x06, 0xb8, 0x2a, 0x00, 0xef, 0xf4});  // out 600, 42
    const MachineEnd end = run();
    EXPECT_EQ(end.kind, MachineEnd::Kind::exited);
    EXPECT_EQ(end.status, 42);
    EXPECT_GE(machine->report().exits.by_reason[VcpuExit(vcpu_exit::PortWrite{}).index()], 1u);
}

TEST_F(MachineTest, SerialOutputAndBootPhasesAreTold) {
    MAKE_OR_SKIP({0xba, 0xf8, 0x03, 0xb0, 'h',  0xee, 0xb0, 'i',  0xee,  // out 3f8, "hi"
                  0xba, 0x02, 0x06, 0xb0, 0x01, 0xee, 0xb0, 0x03, 0xee,  // phases 1 and 3
                  0xba, 0x00, 0x06, 0x31, 0xc0, 0xef, 0xf4});            // out 600, 0
    EXPECT_EQ(run().status, 0);
    EXPECT_EQ(console.text, "hi");
    EXPECT_THAT(phases, testing::ElementsAre(platform::BootPhase::loader_entry, platform::BootPhase::ready));
    const BootTimeline timeline = machine->report().timeline;
    ASSERT_TRUE(timeline.vcpu_start && timeline.firmware_handover && timeline.ready && timeline.end);
    EXPECT_FALSE(timeline.kernel_entry);
    EXPECT_LE(*timeline.vcpu_start, *timeline.firmware_handover);
    EXPECT_LE(*timeline.ready, *timeline.end);
}

TEST_F(MachineTest, ARequestForAResetIsItsEnd) {
    MAKE_OR_SKIP({0xb0, 0xfe, 0xe6, 0x64, 0xf4});  // out 64, fe
    EXPECT_EQ(run().kind, MachineEnd::Kind::reset);
}

TEST_F(MachineTest, ATripleFaultIsItsDeathWithRegisters) {
    MAKE_OR_SKIP({0x2e, 0x0f, 0x01, 0x1e, 0x00, 0x80, 0x0f, 0x0b});  // lidt cs:[8000], all zero; ud2
    const MachineEnd end = run();
    EXPECT_EQ(end.kind, MachineEnd::Kind::died);
    EXPECT_EQ(end.status, platform::status_guest_died);
    EXPECT_THAT(end.explanation, HasSubstr("vCPU 0: the guest triple-faulted"));
    EXPECT_THAT(end.explanation, HasSubstr("rip "));
}

TEST_F(MachineTest, FlashCannotBeWritten) {
    MAKE_OR_SKIP({0x2e, 0xc6, 0x06, 0x00, 0x90, 0x77,  // mov byte cs:[9000], 77
                  0x2e, 0xa0, 0x00, 0x90, 0x30, 0xe4,  // mov al, cs:[9000]; xor ah, ah
                  0xba, 0x00, 0x06, 0xef, 0xf4});      // out 600, ax
    EXPECT_EQ(run().status, 0);
    EXPECT_EQ(rom[0x9000], std::byte{0});
}

TEST_F(MachineTest, StopEndsAGuestThatSpinsAndOnesThatSleep) {
    MAKE_OR_SKIP({0xfa, 0xeb, 0xfe}, 4);  // cli; jmp self; the others wait for their start-up
    ASSERT_TRUE(machine->start());
    std::thread stopper([this] {
        std::this_thread::sleep_for(50ms);
        machine->stop();
    });
    EXPECT_EQ(machine->wait().kind, MachineEnd::Kind::stopped);
    stopper.join();
}

TEST_F(MachineTest, StopBeforeTheStartIsKept) {
    MAKE_OR_SKIP({0xeb, 0xfe});
    machine->stop();
    EXPECT_EQ(run().kind, MachineEnd::Kind::stopped);
}

TEST_F(MachineTest, ItNeedNotRunAtAll) {
    MAKE_OR_SKIP({0xf4}, 2);
}

TEST_F(MachineTest, DisksAreFreeAgainAfterIt) {
    auto disk = MemoryDisk::create(std::vector<std::byte>(4096));
    ASSERT_TRUE(disk);
    for (int round = 0; round < 2; ++round) {
        machine.reset();
        MAKE_OR_SKIP({0xb0, 0xfe, 0xe6, 0x64, 0xf4}, 2, {{"memory", *disk}});
        EXPECT_EQ(run().kind, MachineEnd::Kind::reset);
        ASSERT_EQ(machine->report().disks.size(), 1u);
        EXPECT_EQ(machine->report().disks[0].name, "memory");
    }
}

}  // namespace
}  // namespace exo::vmm
