#include "guest/drivers/block/find_disks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "guest/kernel/console.h"
#include "tests/unit/guest_drivers/ide_model.h"
#include "tests/unit/guest_drivers/virtio_blk_model.h"

namespace exo::guest::test {
namespace {

class Log final : public Console {
  public:
    void write(std::string_view text) override { all += text; }
    std::optional<char> read() override { return std::nullopt; }
    bool wait_for_input(std::uint64_t) override { return false; }
    std::string all;
};

struct FindDisksTest : testing::Test {
    FakeMachine machine;
    FakePciConfig pci;
    VirtioBlkModel virtio{machine, pci, 7};
    IdeModel ide{machine};
    Log log;
    DiskRegistry registry;

    FindDisksTest() {
        install_console(&log);
        machine.on_idle = [this] { return virtio.step() || ide.step(); };
    }
    ~FindDisksTest() override { install_console(nullptr); }

    void add_ide_controller() {
        auto& space = pci.add({0, 1, 1}, 0x8086, 0x7010);
        space.set8(pci_reg::class_code, 1);
        space.set8(pci_reg::subclass, 1);
        space.set8(pci_reg::interface, 0x80);
        pci.add({0, 1, 0}, 0x8086, 0x7000).set8(pci_reg::header_type, 0x80);
    }
    std::string found() {
        find_disks(pci, machine.services(), registry);
        std::string all;
        for (Disk& disk : registry.disks())
            all += std::string(disk.name()) + "=" + std::string(disk.device->info().driver) + " ";
        return all;
    }
};

TEST_F(FindDisksTest, InTheOrderOfTheirAddresses) {
    add_ide_controller();
    ide.attach(0, 3);
    EXPECT_EQ("disk0=ide disk1=virtio-blk ", found());
    EXPECT_EQ("", log.all);
    EXPECT_EQ(pci_command::io, pci.at({0, 1, 1}).get16(pci_reg::command));
}

TEST_F(FindDisksTest, LooksAtTheOldPortsWhereNoControllerOwnsThem) {
    ide.attach(1, 3);
    EXPECT_EQ("disk0=virtio-blk disk1=ide ", found());
}

TEST_F(FindDisksTest, TellsOfADiskThatItCannotUseAndGoesOn) {
    ide.attach(0, 3);
    virtio.block_size = 77;
    EXPECT_EQ("disk0=ide ", found());
    EXPECT_EQ(
        "warning: PCI 00:04.0: cannot use a virtio disk: its block size is not a power of two from 512 to "
        "65536\n",
        log.all);
}

TEST_F(FindDisksTest, TellsOfAnIdeDiskThatItCannotUse) {
    ide.attach(0, 0);
    EXPECT_EQ("disk0=virtio-blk ", found());
    EXPECT_EQ("warning: cannot use an IDE disk: it is empty\n", log.all);
}

}  // namespace
}  // namespace exo::guest::test
