#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string_view>

#include "guest/drivers/block/ide_probe.h"
#include "guest/drivers/block/virtio_blk.h"
#include "guest/kernel/services.h"
#include "guest/kernel/shell.h"
#include "tests/unit/guest_drivers/ide_model.h"
#include "tests/unit/guest_drivers/virtio_blk_model.h"
#include "tests/unit/guest_shell/scripted_console.h"

namespace exo::guest::test {

/// A shell on a machine with the disks that a test attaches.
struct AppsTest : testing::Test {
    FakeMachine machine;
    FakePciConfig pci;
    DriverServices fake = machine.services();
    ScriptedConsole terminal;
    Shell shell{terminal};
    std::unique_ptr<VirtioBlkModel> virtio;
    std::unique_ptr<IdeModel> ide;

    AppsTest() { install_services(fake); }
    ~AppsTest() override { disk_registry() = DiskRegistry(); }

    VirtioBlkModel& attach_virtio(std::size_t sectors) {
        virtio = std::make_unique<VirtioBlkModel>(machine, pci, sectors);
        return *virtio;
    }
    IdeModel& attach_ide() {
        ide = std::make_unique<IdeModel>(machine);
        return *ide;
    }
    void start_virtio() {
        auto disk = VirtioBlk::create(PciFunction(pci, VirtioBlkModel::address), fake);
        ASSERT_TRUE(disk);
        ASSERT_TRUE(disk_registry().add(std::move(*disk)));
    }
    unsigned run(std::string_view line, bool interactive = false) {
        terminal.output.clear();
        return shell.run(line, interactive);
    }
};

}  // namespace exo::guest::test
