#include "vmm/devices/fusion_blk_request.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/devices/guest_ram.h"
#include "tests/unit/devices/raw_driver.h"

namespace exo::test {
namespace {

using block::Feature;
using block::Operation;
using block::Request;
using block::Segment;
using block::Status;

constexpr std::uint64_t all_features =
    static_cast<std::uint64_t>(Feature::flush) | static_cast<std::uint64_t>(Feature::indirect);

class CheckRequest : public testing::Test {
  protected:
    Status check(const Request& request) {
        return vmm::check_request(request, ram.memory(), limits, checked);
    }
    Request read(std::uint64_t sector = 0, std::uint32_t length = 512) const {
        return RawDriver::transfer(Operation::read, 7, sector, GuestRam::start, length);
    }
    Status check_changed(const std::function<void(Request&)>& change) {
        Request request = read();
        change(request);
        return check(request);
    }
    /// A request by a table of `count` segments of one sector each.
    Request indirect(std::uint16_t count) {
        Request request = read();
        request.flags = block::flag::indirect;
        request.segment_count = count;
        request.segments[0] = {table, count * std::uint32_t{16}, 0};
        for (std::uint64_t i = 0; i < count && i < block::indirect_segments; ++i)
            ram.memory().write(vmm::GuestAddress{table + 16 * i}, Segment{GuestRam::start + 512 * i, 512, 0});
        return request;
    }

    GuestRam ram{1 << 20};
    static constexpr std::uint64_t table = GuestRam::start + (512 << 10);
    vmm::FusionBlkLimits limits{{.sectors = 1000}, all_features};
    vmm::CheckedRequest checked;
};

TEST_F(CheckRequest, GoodOnesInTheHostsTerms) {
    Request request = read(10, 1024);
    request.segment_count = 2;
    request.segments[1] = {GuestRam::start + 4096 + 3, 512, 0};
    request.flags = block::flag::barrier | static_cast<std::uint8_t>(block::Urgency::relaxed);
    ASSERT_EQ(check(request), Status::ok);
    EXPECT_EQ(checked.operation, vmm::DiskOperation::read);
    EXPECT_EQ(checked.offset, 5120u);
    EXPECT_EQ(checked.bytes, 1536u);
    EXPECT_TRUE(checked.barrier);
    EXPECT_FALSE(checked.fua);
    EXPECT_EQ(checked.urgency, block::Urgency::relaxed);
    ASSERT_EQ(checked.segments.size(), 2u);
    EXPECT_EQ(checked.segments[0].iov_base, ram.at(GuestRam::start));
    EXPECT_EQ(checked.segments[1].iov_base, ram.at(GuestRam::start + 4099));
    EXPECT_EQ(checked.segments[1].iov_len, 512u);
}

TEST_F(CheckRequest, ResultIsUsedAgain) {
    ASSERT_EQ(check(indirect(5)), Status::ok);
    ASSERT_EQ(check(read()), Status::ok);
    EXPECT_EQ(checked.segments.size(), 1u);
    EXPECT_EQ(checked.bytes, 512u);
}

TEST_F(CheckRequest, WriteWithForcedUnitAccess) {
    ASSERT_EQ(check_changed([](Request& request) {
                  request.operation = Operation::write;
                  request.flags = block::flag::fua;
              }),
              Status::ok);
    EXPECT_EQ(checked.operation, vmm::DiskOperation::write);
    EXPECT_TRUE(checked.fua);
}

TEST_F(CheckRequest, Flush) {
    ASSERT_EQ(check(RawDriver::flush(1)), Status::ok);
    EXPECT_EQ(checked.operation, vmm::DiskOperation::flush);
    EXPECT_EQ(checked.bytes, 0u);
    EXPECT_TRUE(checked.segments.empty());
    Request request = RawDriver::flush(1);
    request.sector = 1;
    EXPECT_EQ(check(request), Status::bad_request);
    request = RawDriver::flush(1);
    request.segment_count = 1;
    EXPECT_EQ(check(request), Status::bad_request);
    request = RawDriver::flush(1);
    request.flags = block::flag::indirect;
    EXPECT_EQ(check(request), Status::bad_request);
    request = RawDriver::flush(1);
    request.flags = block::flag::fua;
    EXPECT_EQ(check(request), Status::bad_request);
}

TEST_F(CheckRequest, UnknownOperationsAndBits) {
    for (const int operation : {3, 4, 255})
        EXPECT_EQ(check_changed([&](Request& r) { r.operation = static_cast<Operation>(operation); }),
                  Status::bad_request);
    for (const unsigned flags : {0x20u, 0x40u, 0x80u, 0x03u})
        EXPECT_EQ(check_changed([&](Request& r) { r.flags = static_cast<std::uint8_t>(flags); }),
                  Status::bad_request)
            << flags;
    EXPECT_EQ(check_changed([](Request& r) { r.flags = block::flag::fua; }), Status::bad_request)
        << "a read has nothing to force";
}

TEST_F(CheckRequest, Segments) {
    EXPECT_EQ(check_changed([](Request& r) { r.segment_count = 0; }), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) { r.segment_count = 3; }), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) { r.segment_count = 0xffff; }), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) { r.segments[0].length = 0; }), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) { r.segments[0].length = 511; }), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) { r.segments[0].length = 513; }), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) { r.segments[0].reserved = 1; }), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) { r.segments[0].length = 0xffff'fe00; }), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) { r.segments[1].length = 77; }), Status::ok)
        << "it is past the count";
}

TEST_F(CheckRequest, MostBytes) {
    limits.sectors = 1 << 20;
    GuestRam large(4 << 20);
    const auto check_large = [&](std::uint32_t first, std::uint32_t second) {
        Request request = read(0, first);
        request.segment_count = second == 0 ? 1 : 2;
        request.segments[1] = {GuestRam::start, second, 0};
        return vmm::check_request(request, large.memory(), limits, checked);
    };
    EXPECT_EQ(check_large(vmm::fusion_blk_max_transfer, 0), Status::ok);
    EXPECT_EQ(check_large(vmm::fusion_blk_max_transfer + 512, 0), Status::bad_request);
    EXPECT_EQ(check_large(vmm::fusion_blk_max_transfer - 512, 512), Status::ok);
    EXPECT_EQ(check_large(vmm::fusion_blk_max_transfer, 512), Status::bad_request);
    EXPECT_EQ(check_large(vmm::fusion_blk_max_transfer, 0xffff'fe00), Status::bad_request);
}

TEST_F(CheckRequest, SegmentsOutsideOfGuestMemory) {
    for (const std::uint64_t address :
         {std::uint64_t{0}, GuestRam::start - 512, GuestRam::start - 1, ram.end(), ram.end() - 511,
          UINT64_MAX, UINT64_MAX - 511, std::uint64_t{1} << 63})
        EXPECT_EQ(check_changed([&](Request& r) { r.segments[0].address = address; }), Status::bad_address)
            << std::hex << address;
    EXPECT_EQ(check_changed([&](Request& r) { r.segments[0].address = ram.end() - 512; }), Status::ok);
    EXPECT_EQ(check_changed([&](Request& r) {
                  r.segment_count = 2;
                  r.segments[1] = {0, 512, 0};
              }),
              Status::bad_address);
}

TEST_F(CheckRequest, Range) {
    EXPECT_EQ(check(read(999)), Status::ok);
    EXPECT_EQ(check(read(1000)), Status::out_of_range);
    EXPECT_EQ(check(read(999, 1024)), Status::out_of_range);
    EXPECT_EQ(check(read(~0ull)), Status::out_of_range);
    EXPECT_EQ(check(read(~0ull / 512)), Status::out_of_range);
    EXPECT_EQ(check(read(~0ull / 512 + 1)), Status::out_of_range) << "its byte offset wraps to 0";
}

TEST_F(CheckRequest, LogicalBlock) {
    limits.logical_block = 4096;
    EXPECT_EQ(check(read(8, 4096)), Status::ok);
    EXPECT_EQ(check(read(8, 512)), Status::bad_request);
    EXPECT_EQ(check(read(4, 4096)), Status::bad_request);
    Request request = read(0, 512);
    request.segment_count = 2;
    request.segments[1] = {GuestRam::start, 3584, 0};
    EXPECT_EQ(check(request), Status::ok) << "segments may cut a block";
}

TEST_F(CheckRequest, ReadOnly) {
    limits.read_only = true;
    EXPECT_EQ(check_changed([](Request& r) { r.operation = Operation::write; }), Status::read_only);
    EXPECT_EQ(check(read()), Status::ok);
    EXPECT_EQ(check(RawDriver::flush(1)), Status::ok);
}

TEST_F(CheckRequest, FeaturesThatWereNotAccepted) {
    limits.features = static_cast<std::uint64_t>(Feature::indirect);
    EXPECT_EQ(check(RawDriver::flush(1)), Status::bad_request);
    EXPECT_EQ(check_changed([](Request& r) {
                  r.operation = Operation::write;
                  r.flags = block::flag::fua;
              }),
              Status::bad_request);
    EXPECT_EQ(check(indirect(1)), Status::ok);
    limits.features = static_cast<std::uint64_t>(Feature::flush);
    EXPECT_EQ(check(indirect(1)), Status::bad_request);
}

TEST_F(CheckRequest, IndirectTable) {
    ASSERT_EQ(check(indirect(256)), Status::ok);
    EXPECT_EQ(checked.segments.size(), 256u);
    EXPECT_EQ(checked.bytes, 256u * 512);
    EXPECT_EQ(checked.segments[255].iov_base, ram.at(GuestRam::start + 255 * 512));
    EXPECT_EQ(check(indirect(1)), Status::ok);
    EXPECT_EQ(check(indirect(0)), Status::bad_request);
    EXPECT_EQ(check(indirect(257)), Status::bad_request);
    EXPECT_EQ(check(indirect(0xffff)), Status::bad_request);
}

TEST_F(CheckRequest, NameOfAnIndirectTable) {
    const auto with = [&](auto change) {
        Request request = indirect(4);
        change(request.segments[0]);
        return check(request);
    };
    EXPECT_EQ(with([](Segment& name) { name.length = 63; }), Status::bad_request);
    EXPECT_EQ(with([](Segment& name) { name.length = 80; }), Status::bad_request);
    EXPECT_EQ(with([](Segment& name) { name.reserved = 1; }), Status::bad_request);
    EXPECT_EQ(with([](Segment& name) { name.address += 8; }), Status::bad_address);
    EXPECT_EQ(with([&](Segment& name) { name.address = ram.end(); }), Status::bad_address);
    EXPECT_EQ(with([&](Segment& name) { name.address = ram.end() - 16; }), Status::bad_address);
    EXPECT_EQ(with([](Segment& name) { name.address = ~0xfull; }), Status::bad_address);
}

TEST_F(CheckRequest, SegmentsOfAnIndirectTable) {
    const auto with = [&](Segment third) {
        const Request request = indirect(4);
        ram.memory().write(vmm::GuestAddress{table + 32}, third);
        return check(request);
    };
    EXPECT_EQ(with({GuestRam::start, 0, 0}), Status::bad_request);
    EXPECT_EQ(with({GuestRam::start, 100, 0}), Status::bad_request);
    EXPECT_EQ(with({GuestRam::start, 512, 9}), Status::bad_request);
    EXPECT_EQ(with({ram.end() - 256, 512, 0}), Status::bad_address);
    EXPECT_EQ(with({0, 512, 0}), Status::bad_address);
    EXPECT_EQ(with({table, 512, 0}), Status::ok) << "the table itself is memory like any other";
}

}  // namespace
}  // namespace exo::test
