// The guest's driver against devices that lie, die, or are not what they seem.

#include "guest/drivers/block/fusion_blk.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "guest/drivers/block/block_io.h"
#include "shared/block/control_line.h"
#include "shared/fusion/ring.h"
#include "tests/unit/devices/guest_side.h"

namespace exo::test {
namespace {

namespace reg = block::reg;
using guest::BlockOperation;
using guest::BlockRequest;
using guest::BlockStatus;
using guest::IoMode;

enum class Lie {
    none,
    unknown_tag,      ///< completes what it was never given
    stale_tag,        ///< completes the same request again later
    tag_beyond,       ///< a tag with an index past the ring
    unknown_status,   ///< a status that does not exist
    too_few_bytes,    ///< ok, but less than asked
    too_many_bytes,   ///< ok, and more than asked
    malformed_slot,   ///< a completion of another kind
    corrupt_slot,     ///< a sequence that the protocol never writes
    keeps_slots,      ///< completes without releasing the submission slot
    silent,           ///< never answers
    silent_for_good,  ///< and does not come out of a reset any more
    io_error,
};

/// A device of registers and rings without any disk, with faults to choose from.
class LyingDevice final : public vmm::IoHandler {
  public:
    explicit LyingDevice(GuestRam& ram) : ram_(ram) {
        set(reg::magic, block::magic);
        set(reg::version, block::version);
        set(reg::device_features, 6);
        set(reg::queue_count, 1);
        set(reg::capacity, 1000);
        set(reg::logical_block, 512);
        set(reg::physical_block, 4096);
        set(reg::max_transfer, 1 << 20);
        set(reg::max_segments, 256);
        set(reg::max_ring_capacity, 8);
    }

    Lie lie = Lie::none;
    int lies_left = 1000;
    int resets = 0;
    int doorbells = 0;
    unsigned at_once = 1;  ///< requests that are answered before the interrupt
    bool refuses_features = false;
    bool refuses_queue = false;
    std::function<void()> interrupt;

    void set(std::uint32_t offset, std::uint32_t value) { words_.at(offset / 4) = value; }
    std::uint32_t get(std::uint32_t offset) const { return words_.at(offset / 4); }

    void read(std::uint64_t offset, std::span<std::byte> data) override {
        ASSERT_LE(offset + data.size(), sizeof(words_));
        std::memcpy(data.data(), reinterpret_cast<std::byte*>(words_.data()) + offset, data.size());
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) override {
        std::uint64_t value = 0;
        std::memcpy(&value, data.data(), data.size());
        if (offset == block::bar::doorbells) {
            ++doorbells;
        } else if (offset == reg::status) {
            write_status(static_cast<block::DeviceStatus>(value));
        } else {
            ASSERT_LE(offset + data.size(), sizeof(words_));
            std::memcpy(reinterpret_cast<std::byte*>(words_.data()) + offset, data.data(), data.size());
            if (offset == reg::queue_state) enable();
        }
    }

    /// What the driver tells of itself.
    block::DriverControl told() const {
        return block::read_control<block::DriverControl>(completion_ring_->header().consumer_wake);
    }

    bool turn() {
        if (!submissions_ || lie == Lie::silent || lie == Lie::silent_for_good) return false;
        block::Request request;
        unsigned answered = 0;
        for (; answered < at_once && take(request); ++answered) answer(request);
        if (answered > 0 && completions_->must_notify() && interrupt) interrupt();
        return answered > 0;
    }

  private:
    std::uint64_t wide(std::uint32_t offset) const {
        return get(offset) | std::uint64_t{get(offset + 4)} << 32;
    }

    void write_status(block::DeviceStatus status) {
        if (status == block::DeviceStatus::reset) {
            ++resets;
            submissions_.reset();
            completions_.reset();
            if (lie == Lie::silent_for_good) status = block::DeviceStatus::resetting;
        } else if (refuses_features) {
            status = block::DeviceStatus::failed;
        }
        set(reg::status, static_cast<std::uint32_t>(status));
    }

    void enable() {
        if (refuses_queue)
            return set(reg::queue_state, static_cast<std::uint32_t>(block::QueueState::bad_ring));
        const std::size_t size = fusion::ring_bytes(get(reg::ring_capacity));
        submission_ring_.emplace(*fusion::Ring::attach(ram_.bytes(wide(reg::submission_ring), size)));
        completion_ring_.emplace(*fusion::Ring::attach(ram_.bytes(wide(reg::completion_ring), size)));
        submissions_.emplace(*submission_ring_);
        completions_.emplace(*completion_ring_);
        position_ = 0;
        sent_ = 0;
    }

    bool take(block::Request& request) {
        if (lie != Lie::keeps_slots) {
            const bool taken = submissions_->recv(request).has_value();
            position_ += taken ? 1 : 0;
            return taken;
        }
        const fusion::Slot& slot = submission_ring_->slot(position_);
        if (fusion::SlotHeader::from_word(slot.header).sequence != position_ + 1) return false;
        ++position_;
        std::memcpy(&request, slot.payload, sizeof(request));
        return true;
    }

    void answer(const block::Request& request) {
        block::Completion completion{};
        completion.tag = request.tag;
        for (std::uint32_t i = 0; i < request.segment_count && i < block::inline_segments; ++i)
            completion.bytes += request.segments[i].length;
        const Lie now = lies_left-- > 0 ? lie : Lie::none;
        if (now == Lie::unknown_tag) completion.tag += 1u << 20;
        if (now == Lie::tag_beyond) completion.tag |= 0xff;
        if (now == Lie::unknown_status) completion.status = static_cast<block::Status>(7);
        if (now == Lie::too_few_bytes) completion.bytes -= 512;
        if (now == Lie::too_many_bytes) completion.bytes += 512;
        if (now == Lie::io_error) completion.status = block::Status::io_error;
        if (now == Lie::corrupt_slot)
            completion_ring_->slot(sent_).header =
                fusion::SlotHeader{sent_ + 5, fusion::Kind::inline_data, 0, 56}.to_word();
        else if (now == Lie::malformed_slot)
            completions_->send(completion, 0, fusion::Kind::control);
        else
            completions_->send(completion);
        ++sent_;
        if (now == Lie::stale_tag) completions_->send(completion);
    }

    GuestRam& ram_;
    std::array<std::uint32_t, 64> words_{};
    std::optional<fusion::Ring> submission_ring_;
    std::optional<fusion::Ring> completion_ring_;
    std::optional<fusion::Consumer> submissions_;
    std::optional<fusion::Producer> completions_;
    std::uint32_t position_ = 0;
    std::uint32_t sent_ = 0;
};

class FusionBlkDriver : public testing::Test {
  protected:
    FusionBlkDriver() : device(ram), guest(ram, device, [this] { return device.turn(); }) {}
    ~FusionBlkDriver() override {
        disk.reset();
        EXPECT_EQ(ram.live(), leaked) << "memory for the device was not given back";
    }

    std::string create() {
        auto made = guest::FusionBlk::create(guest.function(), guest.services());
        if (!made) return std::string(made.error().why);
        disk = std::move(*made);
        return "created";
    }
    guest::BlockQueue& queue() { return disk->queue(0); }
    void tell_notification_cost(std::uint32_t ns) {
        const std::uint64_t ring =
            device.get(reg::submission_ring) | std::uint64_t{device.get(reg::submission_ring + 4)} << 32;
        block::DeviceControl control{};
        control.notification_cost_ns = ns;
        block::publish_control(reinterpret_cast<fusion::RingHeader*>(ram.at(ring))->consumer_wake, control);
    }

    BlockStatus run(IoMode mode = IoMode::polling, std::size_t size = 512) {
        const guest::DmaSpan span{ram.at(data), data, size};
        BlockRequest request;
        request.segments = {&span, 1};
        disk->set_mode(mode);
        return guest::run(*disk, request);
    }

    GuestRam ram;
    std::uint64_t data = GuestRam::start + (4 << 20);
    std::size_t leaked = 0;
    LyingDevice device;
    GuestSide guest;
    std::unique_ptr<guest::FusionBlk> disk;
};

TEST_F(FusionBlkDriver, KnowsItsDevice) {
    EXPECT_TRUE(guest::FusionBlk::matches(guest.function()));
    guest.pci.at(GuestSide::pci_address).set16(2, 0x1042);
    EXPECT_FALSE(guest::FusionBlk::matches(guest.function()));
}

TEST_F(FusionBlkDriver, TellsWhatTheDiskIs) {
    device.set(reg::serial, 0x2d6c6576);
    device.set(reg::serial + 4, 0x00003131);
    ASSERT_EQ(create(), "created");
    const guest::DiskInfo& info = disk->info();
    EXPECT_EQ(info.driver, "fusion-blk");
    EXPECT_EQ(info.serial, "vel-11");
    EXPECT_EQ(info.sectors, 1000u);
    EXPECT_EQ(info.logical_block, 512u);
    EXPECT_EQ(info.physical_block, 4096u);
    EXPECT_EQ(info.max_transfer, 1u << 20);
    EXPECT_EQ(info.max_segments, 64u);
    EXPECT_FALSE(info.read_only);
    EXPECT_TRUE(info.has_flush);
    EXPECT_TRUE(info.has_fua);
    EXPECT_TRUE(info.has_barrier);
    EXPECT_TRUE(queue().has_interrupt());
    EXPECT_EQ(queue().depth(), 8u);
}

TEST_F(FusionBlkDriver, RefusesWhatItDoesNotUnderstand) {
    const auto with = [&](std::uint32_t offset, std::uint32_t value) {
        const std::uint32_t good = device.get(offset);
        device.set(offset, value);
        const std::string why = create();
        device.set(offset, good);
        return why;
    };
    EXPECT_EQ(with(reg::magic, 0xffff'ffff), "its registers are not those of one");
    EXPECT_EQ(with(reg::version, 0x0002'0000), "it speaks another version of the protocol");
    EXPECT_EQ(with(reg::logical_block, 0), "its block size is not a power of two from 512 to 65536");
    EXPECT_EQ(with(reg::logical_block, 256), "its block size is not a power of two from 512 to 65536");
    EXPECT_EQ(with(reg::logical_block, 768), "its block size is not a power of two from 512 to 65536");
    EXPECT_EQ(with(reg::logical_block, 0x2'0000), "its block size is not a power of two from 512 to 65536");
    EXPECT_EQ(with(reg::capacity, 0), "it is empty");
    EXPECT_EQ(with(reg::capacity + 4, 0xffff'ffff), "it claims an impossible size");
    EXPECT_EQ(with(reg::max_transfer, 511), "it takes no request as large as one of its blocks");
    EXPECT_EQ(with(reg::max_segments, 0), "it takes no request as large as one of its blocks");
    EXPECT_EQ(with(reg::queue_count, 0), "it has no queue");
    EXPECT_EQ(with(reg::max_ring_capacity, 1), "its rings are too small");
    EXPECT_EQ(with(reg::version, 0x0001'0007), "created") << "another minor version only adds fields";
}

TEST_F(FusionBlkDriver, SaysWhatTheDeviceRefuses) {
    device.refuses_features = true;
    EXPECT_EQ(create(), "it refuses the features that it offers");
    device.refuses_features = false;
    device.refuses_queue = true;
    EXPECT_EQ(create(), "it refuses the queue");
}

TEST_F(FusionBlkDriver, OddLimitsAreRoundedDown) {
    device.set(reg::max_ring_capacity, 100);
    device.set(reg::max_transfer, 5000);
    device.set(reg::logical_block, 4096);
    device.set(reg::physical_block, 77);
    device.set(reg::device_features, 0);
    ASSERT_EQ(create(), "created");
    EXPECT_EQ(queue().depth(), 64u);
    EXPECT_EQ(disk->info().max_transfer, 4096u);
    EXPECT_EQ(disk->info().physical_block, 4096u);
    EXPECT_EQ(disk->info().max_segments, 2u) << "without indirect tables";
    EXPECT_FALSE(disk->info().has_flush);
    EXPECT_FALSE(disk->info().has_fua);
    BlockRequest flush;
    flush.operation = BlockOperation::flush;
    EXPECT_EQ(guest::run(*disk, flush), BlockStatus::ok) << "there is nothing to flush";
}

TEST_F(FusionBlkDriver, WorksWithoutMsi) {
    guest.has_msi = false;
    ASSERT_EQ(create(), "created");
    EXPECT_FALSE(queue().has_interrupt());
    EXPECT_EQ(device.get(reg::queue_vector), block::no_vector);
    EXPECT_EQ(run(IoMode::interrupt), BlockStatus::ok);
}

TEST_F(FusionBlkDriver, HonestDevice) {
    ASSERT_EQ(create(), "created");
    for (int i = 0; i < 100; ++i) EXPECT_EQ(run(), BlockStatus::ok);
    EXPECT_EQ(queue().counters().completed, 100u);
    EXPECT_EQ(queue().counters().faults, 0u);
}

TEST_F(FusionBlkDriver, ErrorsOfTheMedium) {
    ASSERT_EQ(create(), "created");
    device.lie = Lie::io_error;
    device.lies_left = 1;
    EXPECT_EQ(run(), BlockStatus::medium_error);
    EXPECT_EQ(run(), BlockStatus::ok);
    EXPECT_EQ(queue().counters().failed, 1u);
}

TEST_F(FusionBlkDriver, BelievesWhatAnInterruptCostsTheDeviceUpToTwentyMicroseconds) {
    ASSERT_EQ(create(), "created");
    EXPECT_EQ(queue().notification_cost_ns(), 0u) << "it has said nothing";
    tell_notification_cost(7'000);
    EXPECT_EQ(queue().notification_cost_ns(), 7'000u);
    tell_notification_cost(~0u);
    EXPECT_EQ(queue().notification_cost_ns(), 20'000u);
}

TEST_F(FusionBlkDriver, TheDevicesShareOfAnInterruptIsPartOfItsCost) {
    ASSERT_EQ(create(), "created");
    device.interrupt = [this] { guest.line().raise(); };
    const auto interrupt_cpu_after = [this](std::uint32_t notification_ns) {
        tell_notification_cost(notification_ns);
        for (int i = 0; i < 2'000; ++i) EXPECT_EQ(run(IoMode::interrupt), BlockStatus::ok);
        return disk->adaptive_queue(0).report().seen.interrupt_cpu_ns;
    };
    const std::uint32_t of_guest = interrupt_cpu_after(0);
    EXPECT_GE(interrupt_cpu_after(15'000), of_guest + 14'000);
}

TEST_F(FusionBlkDriver, KnowsHowManyAnInterruptTellsOf) {
    ASSERT_EQ(create(), "created");
    device.interrupt = [this] { guest.line().raise(); };
    device.at_once = 4;
    disk->set_mode(IoMode::interrupt);
    const guest::DmaSpan span{ram.at(data), data, 512};
    std::array<BlockRequest, 4> requests;
    std::array<BlockRequest*, 4> pointers{};
    guest::AdaptiveQueue& adaptive = disk->adaptive_queue(0);
    for (int round = 0; round < 500; ++round) {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            requests[i].reset();
            requests[i].segments = {&span, 1};
            pointers[i] = &requests[i];
        }
        adaptive.submit(pointers);
        for (BlockRequest& request : requests) ASSERT_EQ(adaptive.wait(request), BlockStatus::ok);
    }
    EXPECT_EQ(adaptive.report().seen.told_together, 4u);
}

class BrokenProtocol : public FusionBlkDriver, public testing::WithParamInterface<Lie> {};

TEST_P(BrokenProtocol, EndsInAnErrorAndTheDeviceIsSwitchedOff) {
    ASSERT_EQ(create(), "created");
    EXPECT_EQ(run(), BlockStatus::ok);
    device.lie = GetParam();
    device.lies_left = 1;
    const int resets = device.resets;
    for (int i = 0; i < 20 && queue().counters().faults == 0; ++i) run();
    EXPECT_EQ(queue().counters().faults, 1u);
    EXPECT_EQ(device.resets, resets + 1);
    EXPECT_EQ(guest.function().read16(guest::pci_reg::command) & guest::pci_command::bus_master, 0);
    EXPECT_EQ(run(), BlockStatus::device_failed);
    EXPECT_FALSE(queue().has_interrupt());
    EXPECT_EQ(queue().counters().submitted, queue().counters().completed);
}

INSTANTIATE_TEST_SUITE_P(Lies, BrokenProtocol,
                         testing::Values(Lie::unknown_tag, Lie::stale_tag, Lie::tag_beyond,
                                         Lie::unknown_status, Lie::malformed_slot, Lie::corrupt_slot,
                                         Lie::keeps_slots));

TEST_F(FusionBlkDriver, FewerBytesThanAskedAreNoData) {
    ASSERT_EQ(create(), "created");
    for (const Lie lie : {Lie::too_few_bytes, Lie::too_many_bytes}) {
        device.lie = lie;
        device.lies_left = 1;
        EXPECT_EQ(run(IoMode::polling, 1024), BlockStatus::medium_error);
    }
    EXPECT_EQ(queue().counters().faults, 2u);
    EXPECT_EQ(run(), BlockStatus::ok) << "only that request is lost";
}

TEST_F(FusionBlkDriver, TellsTheDeviceHowItWaitsAndAgainAfterAReset) {
    ASSERT_EQ(create(), "created");
    for (unsigned mode = 0; mode < guest::io_mode_count; ++mode) {
        const guest::IoPlan plan = guest::fixed_plan(static_cast<IoMode>(mode));
        ASSERT_TRUE(disk->set_mode(plan.mode));
        for (int reset = 0; reset < 2; ++reset) {
            EXPECT_EQ(device.told().mode, mode);
            EXPECT_EQ(device.told().poll_budget_ns, plan.poll_budget_ns);
            EXPECT_EQ(device.told().batch_limit, plan.batch);
            queue().recover();
        }
    }
}

TEST_F(FusionBlkDriver, SilentDeviceTimesOutAndIsBroughtBack) {
    for (const IoMode mode : {IoMode::polling, IoMode::interrupt, IoMode::hybrid}) {
        ASSERT_EQ(create(), "created");
        device.lie = Lie::silent;
        const std::uint64_t before = guest.now_ns();
        EXPECT_EQ(run(mode), BlockStatus::timed_out);
        EXPECT_GE(guest.now_ns() - before, disk->timeout_ns());
        EXPECT_LT(guest.now_ns() - before, 2 * disk->timeout_ns());
        device.lie = Lie::none;
        EXPECT_EQ(run(IoMode::polling), BlockStatus::ok);
    }
}

TEST_F(FusionBlkDriver, LostInterruptsCostSleepNotTheDisk) {
    guest.lose_interrupts = true;
    ASSERT_EQ(create(), "created");
    for (int i = 0; i < 5; ++i) EXPECT_EQ(run(IoMode::interrupt), BlockStatus::ok);
    EXPECT_FALSE(queue().has_interrupt()) << "it has given up on them";
}

TEST_F(FusionBlkDriver, DeviceThatDoesNotResetKeepsTheRingsItMayWriteTo) {
    ASSERT_EQ(create(), "created");
    device.lie = Lie::silent_for_good;
    const std::size_t rings = ram.live();
    EXPECT_EQ(run(), BlockStatus::timed_out);
    EXPECT_EQ(run(), BlockStatus::device_failed);
    EXPECT_EQ(guest.function().read16(guest::pci_reg::command) & guest::pci_command::bus_master, 0);
    disk.reset();
    EXPECT_EQ(ram.live(), rings);
    leaked = rings;
}

TEST_F(FusionBlkDriver, NoMemory) {
    while (ram.allocate(4096) != 0) continue;
    EXPECT_EQ(create(), "the test's memory is used up");
    leaked = ram.live();
}

TEST_F(FusionBlkDriver, MemoryEndsAmongTheRings) {
    const std::size_t ring = fusion::ring_bytes(8);
    while (ram.allocate(4096) != 0) continue;
    const std::size_t before = ram.live();
    ram.release(GuestRam::start, (ring + 4095) / 4096 * 4096);  // room for one ring only
    EXPECT_EQ(create(), "the test's memory is used up");
    leaked = before - (ring + 4095) / 4096 * 4096;
}

TEST_F(FusionBlkDriver, ChecksRequestsBeforeTheDeviceSeesThem) {
    ASSERT_EQ(create(), "created");
    const guest::DmaSpan span{ram.at(data), data, 512};
    BlockRequest request;
    request.segments = {&span, 1};
    request.sector = 1000;
    EXPECT_EQ(guest::run(*disk, request), BlockStatus::out_of_range);
    request.segments = {};
    EXPECT_EQ(guest::run(*disk, request), BlockStatus::invalid_request);
    EXPECT_EQ(device.doorbells, 0);
    EXPECT_EQ(queue().counters().failed, 2u);
}

TEST_F(FusionBlkDriver, TakesNoMoreThanItCanHold) {
    ASSERT_EQ(create(), "created");
    device.lie = Lie::silent;
    const guest::DmaSpan span{ram.at(data), data, 512};
    std::vector<BlockRequest> requests(12);
    std::vector<BlockRequest*> pointers;
    for (BlockRequest& request : requests) {
        request.segments = {&span, 1};
        pointers.push_back(&request);
    }
    EXPECT_EQ(queue().submit(pointers), 8u);
    EXPECT_EQ(queue().submit(std::span(pointers).subspan(8)), 0u);
    queue().recover();
    for (int i = 0; i < 8; ++i)
        EXPECT_EQ(requests[static_cast<std::size_t>(i)].status.load(), BlockStatus::timed_out);
    EXPECT_FALSE(requests[8].done());
    device.lie = Lie::none;
    EXPECT_EQ(queue().submit(std::span(pointers).subspan(8)), 4u);
    while (!requests[11].done()) queue().wait({.mode = IoMode::polling}, ~std::uint64_t{0}, guest);
    EXPECT_EQ(requests[11].status.load(), BlockStatus::ok);
}

TEST_F(FusionBlkDriver, RequestsEndWithTheDisk) {
    ASSERT_EQ(create(), "created");
    device.lie = Lie::silent;
    const guest::DmaSpan span{ram.at(data), data, 512};
    BlockRequest request;
    request.segments = {&span, 1};
    BlockRequest* const one[] = {&request};
    ASSERT_EQ(queue().submit(one), 1u);
    disk.reset();
    EXPECT_EQ(request.status.load(), BlockStatus::device_failed);
}

}  // namespace
}  // namespace exo::test
