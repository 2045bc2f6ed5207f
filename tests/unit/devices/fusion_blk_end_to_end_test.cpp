// The guest's driver and the VMM's device over one piece of memory: first in one thread in virtual time, then
// with the device in an I/O thread of its own, on every kind of disk.

#include <gtest/gtest.h>

#include <thread>

#include "guest/drivers/block/block_io.h"
#include "guest/drivers/block/fusion_blk.h"
#include "tests/unit/devices/guest_side.h"
#include "tests/unit/devices/scripted_disk.h"
#include "tests/unit/devices/shadow_load.h"
#include "tests/unit/storage/temporary_file.h"
#include "vmm/devices/device_thread.h"
#include "vmm/devices/fusion_blk.h"
#include "vmm/storage/memory_disk.h"
#include "vmm/storage/open_disk.h"

namespace exo::test {
namespace {

using guest::BlockOperation;
using guest::BlockRequest;
using guest::BlockStatus;
using guest::IoMode;

/// In one thread: the device has its turn when the driver waits.
class OneThread : public testing::Test {
  protected:
    static constexpr std::size_t jobs = 16;

    OneThread()
        : disk(jobs * ShadowLoad::area),
          device(std::move(*vmm::FusionBlk::create(ram.memory(), disk, clock, {.serial = "shadow"}))),
          guest(ram, *device, [this] { return turn(); }) {
        device->connect_interrupt(0, guest.line());
    }
    ~OneThread() override {
        driver.reset();
        EXPECT_EQ(ram.live(), 0u);
    }

    void SetUp() override {
        auto made = guest::FusionBlk::create(guest.function(), guest.services());
        ASSERT_TRUE(made) << made.error().why;
        driver = std::move(*made);
    }

    /// What the I/O thread would do once it is woken; true when it did something.
    bool turn() {
        if (disk_turn) disk_turn();
        const auto before = device->counters();
        const bool more = device->service();
        return more || device->counters().completions != before.completions;
    }

    BlockStatus run(BlockRequest& request, IoMode mode = IoMode::interrupt) {
        driver->set_mode(mode);
        return guest::run(*driver, request);
    }
    BlockStatus read(std::uint64_t sector = 0, IoMode mode = IoMode::interrupt) {
        const std::uint64_t at = GuestRam::start + (7 << 20);
        const guest::DmaSpan span{ram.at(at), at, 512};
        BlockRequest request;
        request.sector = sector;
        request.segments = {&span, 1};
        return run(request, mode);
    }

    GuestRam ram;
    ScriptedDisk disk;
    std::function<void()> disk_turn;
    vmm::SystemClock clock;
    vmm::Pollers pollers{2, 1};
    std::unique_ptr<vmm::FusionBlk> device;
    GuestSide guest;
    std::unique_ptr<guest::FusionBlk> driver;
};

TEST_F(OneThread, DriverSeesTheDisk) {
    EXPECT_EQ(driver->info().sectors, disk.content.size() / 512);
    EXPECT_EQ(driver->info().serial, "shadow");
    EXPECT_TRUE(driver->info().has_flush);
}

TEST_F(OneThread, SynchronousReadsAndWrites) {
    auto sync = guest::SyncDisk::create(*driver, guest);
    ASSERT_TRUE(sync);
    std::vector<std::byte> data(300 * 512);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 13);
    ASSERT_TRUE(sync->write(3, data));
    ASSERT_TRUE(sync->flush());
    EXPECT_EQ(std::memcmp(&disk.content[3 * 512], data.data(), data.size()), 0);
    EXPECT_EQ(disk.flushes, 1u);
    std::vector<std::byte> back(data.size());
    ASSERT_TRUE(sync->read(3, back));
    EXPECT_EQ(back, data);
    EXPECT_FALSE(sync->read(driver->info().sectors, std::span(back).first(512)));
}

TEST_F(OneThread, DepthOneCostsOneDoorbellAndOneInterrupt) {
    read();
    const auto doorbells = driver->queue(0).counters().doorbells;
    const auto interrupts = guest.interrupts();
    disk.hold = true;
    disk_turn = [this, idle = 0]() mutable {
        if (++idle % 3 == 0) disk.release();
    };
    for (int i = 0; i < 100; ++i) ASSERT_EQ(read(), BlockStatus::ok);
    EXPECT_LE(driver->queue(0).counters().doorbells - doorbells, 100u);
    EXPECT_LE(guest.interrupts() - interrupts, 100u);
    EXPECT_GE(guest.interrupts() - interrupts, 90u) << "it did sleep";
}

TEST_F(OneThread, PollingCostsNoInterrupt) {
    for (int i = 0; i < 100; ++i) ASSERT_EQ(read(0, IoMode::polling), BlockStatus::ok);
    EXPECT_EQ(guest.interrupts(), 0u);
}

TEST_F(OneThread, BatchCostsOneDoorbellAndOneInterrupt) {
    read();
    const auto doorbells = driver->queue(0).counters().doorbells;
    const auto interrupts = guest.interrupts();
    const std::uint64_t at = GuestRam::start + (7 << 20);
    const guest::DmaSpan span{ram.at(at), at, 512};
    std::vector<BlockRequest> requests(32);
    std::vector<BlockRequest*> pointers;
    for (BlockRequest& request : requests) {
        request.segments = {&span, 1};
        pointers.push_back(&request);
    }
    ASSERT_EQ(driver->queue(0).submit(pointers), 32u);
    while (!requests.back().done()) driver->queue(0).wait({}, ~std::uint64_t{0}, guest);
    EXPECT_EQ(driver->queue(0).counters().doorbells - doorbells, 1u);
    EXPECT_EQ(guest.interrupts() - interrupts, 1u);
}

TEST_F(OneThread, DoorbellOnlyForADeviceThatSleeps) {
    read();
    const auto before = driver->queue(0).counters().doorbells;
    const std::uint64_t at = GuestRam::start + (7 << 20);
    const guest::DmaSpan span{ram.at(at), at, 512};
    std::vector<BlockRequest> requests(10);
    for (BlockRequest& request : requests) {
        request.segments = {&span, 1};
        BlockRequest* const one[] = {&request};
        ASSERT_EQ(driver->queue(0).submit(one), 1u);
    }
    EXPECT_EQ(driver->queue(0).counters().doorbells - before, 1u) << "it was rung, and has not come yet";
    while (!requests.back().done()) driver->queue(0).wait({}, ~std::uint64_t{0}, guest);
}

class AllModes : public OneThread, public testing::WithParamInterface<IoMode> {};

TEST_P(AllModes, RandomLoadAgreesWithAShadow) {
    ShadowLoad load(ram, *driver, guest, jobs, 42);
    load.barriers = true;
    load.run(5'000, {.mode = GetParam(), .poll_budget_ns = 3'000});
    EXPECT_EQ(disk.content, load.shadow);
    EXPECT_EQ(device->counters().bad_descriptors, 0u);
    EXPECT_EQ(driver->queue(0).counters().faults, 0u);
    EXPECT_GT(disk.fua_writes, 0u);
}

TEST_P(AllModes, RandomLoadOnADiskThatTakesItsTime) {
    disk.hold = true;
    std::mt19937 random(3);
    disk_turn = [&] {
        if (disk.held() == 0) return;
        if (random() % 3 == 0) disk.release_last();
        if (random() % 5 == 0) disk.release(1 + random() % 4);
    };
    ShadowLoad load(ram, *driver, guest, jobs, 43);
    load.barriers = true;
    load.run(5'000, {.mode = GetParam(), .poll_budget_ns = 3'000});
    EXPECT_EQ(disk.content, load.shadow);
}

TEST_P(AllModes, ErrorsOfTheDiskReachTheCaller) {
    disk.fail = [](const vmm::DiskRequest& request) { return request.offset == 512 ? EIO : 0; };
    EXPECT_EQ(read(0, GetParam()), BlockStatus::ok);
    EXPECT_EQ(read(1, GetParam()), BlockStatus::medium_error);
    EXPECT_EQ(read(2, GetParam()), BlockStatus::ok);
    disk.short_by = 100;
    EXPECT_EQ(read(2, GetParam()), BlockStatus::medium_error);
    disk.short_by = 0;
    disk.fail = [](const vmm::DiskRequest&) { return ENOSPC; };
    EXPECT_EQ(read(2, GetParam()), BlockStatus::no_space);
}

INSTANTIATE_TEST_SUITE_P(Modes, AllModes, testing::Values(IoMode::interrupt, IoMode::polling, IoMode::hybrid),
                         [](const auto& parameter) { return std::string(guest::describe(parameter.param)); });

TEST_F(OneThread, DiskThatNeverAnswersTimesOutAndComesBackWithItsRequestsEnded) {
    disk.hold = true;
    guest.idle_step_ns = 10'000'000;
    disk_turn = [this] {
        if (guest.now_ns() > driver->timeout_ns() + 500'000'000) disk.release();
    };
    EXPECT_EQ(read(), BlockStatus::timed_out);
    EXPECT_GT(guest.now_ns(), driver->timeout_ns() + 500'000'000) << "the reset waited for the disk";
    disk.hold = false;
    EXPECT_EQ(read(), BlockStatus::ok);
    EXPECT_EQ(device->counters().resets, 2u);
}

TEST_F(OneThread, ResetInMidLoad) {
    for (int round = 0; round < 50; ++round) {
        disk.hold = true;
        const std::uint64_t at = GuestRam::start + (7 << 20);
        const guest::DmaSpan span{ram.at(at), at, 512};
        std::vector<BlockRequest> requests(40);
        std::vector<BlockRequest*> pointers;
        for (BlockRequest& request : requests) {
            request.segments = {&span, 1};
            request.sector = static_cast<std::uint64_t>(round);
            pointers.push_back(&request);
        }
        driver->queue(0).submit(pointers);
        for (int i = 0; i < round % 4; ++i) guest.relax();
        disk.release(static_cast<std::size_t>(round % 7));
        for (int i = 0; i < round % 3; ++i) guest.relax();
        disk.hold = false;
        disk_turn = [this] { disk.release(); };
        driver->queue(0).recover();
        disk_turn = nullptr;
        for (const BlockRequest& request : requests) EXPECT_TRUE(request.done());
        EXPECT_EQ(read(), BlockStatus::ok);
    }
}

/// Two threads, as in the VMM: this one is the guest.
struct DiskKind {
    const char* name;
    bool file;
    vmm::DiskBackend backend = vmm::DiskBackend::automatic;
    bool direct = false;
};

class TwoThreads : public testing::TestWithParam<std::tuple<DiskKind, IoMode>> {
  protected:
    static constexpr std::size_t jobs = 24;
    static constexpr std::size_t size = jobs * ShadowLoad::area;

    void SetUp() override {
        const DiskKind& kind = std::get<0>(GetParam());
        if (kind.file) {
            file = std::make_unique<vmm::test::TemporaryFile>(size);
            auto opened = vmm::open_disk({.path = file->path(), .direct = kind.direct}, kind.backend);
            if (!opened) GTEST_SKIP() << opened.error().message();
            disk = std::move(*opened);
        } else {
            disk = std::make_unique<vmm::MemoryDisk>(
                std::move(*vmm::MemoryDisk::create(std::vector<std::byte>(size))));
        }
        device = std::move(*vmm::FusionBlk::create(ram.memory(), *disk, clock, {}));
        guest = std::make_unique<GuestSide>(ram, *device);
        device->connect_interrupt(0, guest->line());
        thread = std::move(*vmm::DeviceThread::create(*device, clock, "disk-test", pollers, std::nullopt));
        ASSERT_TRUE(thread->start());
        auto made = guest::FusionBlk::create(guest->function(), guest->services());
        ASSERT_TRUE(made) << made.error().why;
        driver = std::move(*made);
    }

    void TearDown() override {
        if (IsSkipped()) return;
        driver.reset();
        thread->stop();
        EXPECT_TRUE(device->quiescent());
        EXPECT_EQ(ram.live(), 0u);
    }

    GuestRam ram{16u << 20};
    vmm::SystemClock clock;
    vmm::Pollers pollers{2, 1};
    std::unique_ptr<vmm::test::TemporaryFile> file;
    std::unique_ptr<vmm::Disk> disk;
    std::unique_ptr<vmm::FusionBlk> device;
    std::unique_ptr<GuestSide> guest;
    std::unique_ptr<vmm::DeviceThread> thread;
    std::unique_ptr<guest::FusionBlk> driver;
};

TEST_P(TwoThreads, RandomLoadAgreesWithAShadow) {
    ShadowLoad load(ram, *driver, *guest, jobs, 44);
    load.barriers = true;
    load.run(file ? 1'500 : 10'000, {.mode = std::get<1>(GetParam()), .poll_budget_ns = 20'000});
    auto sync = guest::SyncDisk::create(*driver, *guest);
    ASSERT_TRUE(sync);
    ASSERT_TRUE(sync->flush());
    if (file != nullptr) {
        EXPECT_EQ(file->content(), load.shadow);
    }
    EXPECT_EQ(driver->queue(0).counters().faults, 0u);
    EXPECT_EQ(driver->queue(0).counters().failed, 0u);
    const auto counters = device->counters();
    EXPECT_EQ(counters.bad_descriptors, 0u);
    EXPECT_LE(counters.doorbells, driver->queue(0).counters().doorbells);
}

TEST_P(TwoThreads, OneAfterTheOther) {
    const std::uint64_t at = ram.allocate(4096);
    const guest::DmaSpan span{ram.at(at), at, 4096};
    driver->set_mode(std::get<1>(GetParam()));
    for (std::uint64_t i = 0; i < 500; ++i) {
        BlockRequest request;
        request.operation = i % 2 == 0 ? BlockOperation::write : BlockOperation::read;
        request.sector = i % 100 * 8;
        request.segments = {&span, 1};
        ASSERT_EQ(guest::run(*driver, request), BlockStatus::ok) << i;
    }
    ram.release(at, 4096);
}

TEST_P(TwoThreads, ResetsInMidLoad) {
    constexpr std::size_t piece = 1024;
    std::vector<BlockRequest> requests(60);
    const std::uint64_t at = ram.allocate(requests.size() * piece);
    const std::span<std::byte> memory = ram.bytes(at, requests.size() * piece);
    std::vector<guest::DmaSpan> pieces;
    std::vector<BlockRequest*> pointers;
    for (std::size_t i = 0; i < requests.size(); ++i)
        pieces.push_back({memory.data() + i * piece, at + i * piece, piece});
    for (std::size_t i = 0; i < requests.size(); ++i) {
        requests[i].segments = {&pieces[i], 1};
        pointers.push_back(&requests[i]);
    }
    for (int round = 0; round < 50; ++round) {
        for (BlockRequest& request : requests) request.reset();
        driver->queue(0).submit(pointers);
        for (int i = 0; i < round; ++i) driver->queue(0).poll();
        driver->queue(0).recover();
        for (const BlockRequest& request : requests) ASSERT_TRUE(request.done());
        // The device must not touch this any more; ThreadSanitizer watches disks of threads and memory.
        std::ranges::fill(memory, static_cast<std::byte>(round));
        for (const std::byte byte : memory) ASSERT_EQ(byte, static_cast<std::byte>(round));
    }
    ram.release(at, memory.size());
}

INSTANTIATE_TEST_SUITE_P(
    Disks, TwoThreads,
    testing::Combine(testing::Values(DiskKind{"memory", false},
                                     DiskKind{"io_uring", true, vmm::DiskBackend::io_uring},
                                     DiskKind{"io_uring_direct", true, vmm::DiskBackend::io_uring, true},
                                     DiskKind{"threads", true, vmm::DiskBackend::threads},
                                     DiskKind{"threads_direct", true, vmm::DiskBackend::threads, true}),
                     testing::Values(IoMode::interrupt, IoMode::polling, IoMode::hybrid)),
    [](const auto& parameter) {
        return std::string(std::get<0>(parameter.param).name) + "_" +
               std::string(guest::describe(std::get<1>(parameter.param)));
    });

}  // namespace
}  // namespace exo::test
