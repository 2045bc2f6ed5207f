#include "vmm/machine/exit_dispatch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace exo::vmm {
namespace {

using namespace vcpu_exit;
using testing::ElementsAre;
using testing::HasSubstr;

/// Answers reads with 1, 2, 3, … and keeps what is written.
struct Counter final : IoHandler {
    int next = 1;
    std::vector<std::size_t> sizes;
    std::vector<int> written;

    void read(std::uint64_t, std::span<std::byte> data) override {
        sizes.push_back(data.size());
        std::ranges::fill(data, static_cast<std::byte>(next++));
    }
    void write(std::uint64_t, std::span<const std::byte> data) override {
        sizes.push_back(data.size());
        written.push_back(std::to_integer<int>(data[0]));
    }
};

struct ExitDispatchTest : testing::Test {
    Counter handler;
    IoBus ports;
    IoBus memory;
    std::array<std::byte, 8> bytes{};

    void put_handler_at(IoBus& bus, std::uint64_t address) { bus.add_at("counter", {address, 8}, handler); }
};

TEST_F(ExitDispatchTest, ARepeatedPortReadIsManyAccessesToOnePort) {
    put_handler_at(ports, 0x510);
    serve(PortRead{0x511, 1, std::span(bytes).first(3)}, ports, memory);
    EXPECT_THAT(handler.sizes, ElementsAre(1, 1, 1));
    EXPECT_THAT(bytes, ElementsAre(std::byte{1}, std::byte{2}, std::byte{3}, std::byte{0}, std::byte{0},
                                   std::byte{0}, std::byte{0}, std::byte{0}));
}

TEST_F(ExitDispatchTest, ARepeatedWordWriteKeepsItsWidth) {
    put_handler_at(ports, 0x510);
    bytes = {std::byte{10}, std::byte{0}, std::byte{20}, std::byte{0}};
    serve(PortWrite{0x510, 2, std::span(bytes).first(4)}, ports, memory);
    EXPECT_THAT(handler.sizes, ElementsAre(2, 2));
    EXPECT_THAT(handler.written, ElementsAre(10, 20));
}

TEST_F(ExitDispatchTest, MemoryAccessesGoToTheMemoryBus) {
    put_handler_at(memory, 0xfe00'0000);
    serve(MmioRead{{0xfe00'0000}, std::span(bytes).first(4)}, ports, memory);
    serve(MmioWrite{{0xfe00'0004}, std::span(bytes).first(4)}, ports, memory);
    EXPECT_THAT(handler.sizes, ElementsAre(4, 4));
    EXPECT_THAT(handler.written, ElementsAre(1));
}

TEST_F(ExitDispatchTest, OnlyAccessesAreServed) {
    EXPECT_TRUE(is_access(PortRead{}));
    EXPECT_TRUE(is_access(PortWrite{}));
    EXPECT_TRUE(is_access(MmioRead{}));
    EXPECT_TRUE(is_access(MmioWrite{}));
    for (const VcpuExit& exit : {VcpuExit(Interrupted{}), VcpuExit(Shutdown{}), VcpuExit(Unsupported{})})
        EXPECT_FALSE(is_access(exit));
}

TEST(FatalReason, SaysWhatEndedTheGuest) {
    EXPECT_FALSE(fatal_reason(PortRead{}));
    EXPECT_FALSE(fatal_reason(Interrupted{}));
    EXPECT_THAT(*fatal_reason(Shutdown{}), HasSubstr("triple-faulted"));
    EXPECT_THAT(*fatal_reason(EntryFailure{0x8000'0021}), HasSubstr("0x80000021"));
    EXPECT_THAT(*fatal_reason(InternalError{1, 2, {0xab, 0xcd}}), HasSubstr("(internal error 1): 0xab 0xcd"));
    EXPECT_THAT(*fatal_reason(Unsupported{24}), HasSubstr("KVM_EXIT 24"));
    EXPECT_THAT(*fatal_reason(RunFailure{14}), HasSubstr("Bad address"));
}

}  // namespace
}  // namespace exo::vmm
