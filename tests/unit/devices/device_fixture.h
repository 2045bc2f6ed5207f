#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/devices/guest_ram.h"
#include "tests/unit/devices/raw_driver.h"
#include "tests/unit/devices/scripted_disk.h"
#include "vmm/devices/fusion_blk.h"

namespace exo::test {

/// A device on a scripted disk, without any thread: nothing happens but by settle().
class DeviceFixture : public testing::Test {
  protected:
    static constexpr std::size_t sectors = 2048;

    explicit DeviceFixture(vmm::DiskGeometry geometry = {}, std::uint32_t queues = 1)
        : disk(sectors * 512, geometry),
          device(std::move(*vmm::FusionBlk::create(ram.memory(), disk, clock,
                                                   {.serial = "disk.img", .queue_count = queues}))),
          driver(ram, *device) {
        device->connect_interrupt(0, line);
        for (std::size_t i = 0; i < disk.content.size(); ++i)
            disk.content[i] = static_cast<std::byte>(i / 512 + i % 7);
    }

    /// Lets the device work until it has nothing more to do. The bound is far beyond what any test needs.
    int settle() {
        int passes = 1;
        while (device->service()) {
            if (++passes == 10'000) {
                ADD_FAILURE() << "the device never comes to rest";
                break;
            }
        }
        return passes;
    }

    block::Status run(const block::Request& request) {
        driver.submit(request);
        settle();
        const auto completion = driver.reap();
        EXPECT_TRUE(completion) << "no completion";
        if (!completion) return static_cast<block::Status>(99);
        EXPECT_EQ(completion->tag, request.tag);
        return completion->status;
    }

    GuestRam ram;
    ScriptedDisk disk;
    ManualClock clock;
    CountingLine line;
    std::unique_ptr<vmm::FusionBlk> device;
    RawDriver driver;
};

}  // namespace exo::test
