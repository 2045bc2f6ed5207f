#include "vmm/machine/fw_cfg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "tests/unit/machine/fakes.h"

namespace exo::vmm {
namespace {

using test::bytes_of;
using test::FakeRam;
using test::read_value;
using test::write_value;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t ram_size = 64 * 1024;
constexpr std::uint64_t descriptor_at = 0x1000;
constexpr std::uint32_t op_error = 1;
constexpr std::uint32_t op_read = 2;
constexpr std::uint32_t op_skip = 4;
constexpr std::uint32_t op_select = 8;
constexpr std::uint32_t op_write = 0x10;

struct Descriptor {
    std::uint32_t control;
    std::uint32_t length;
    std::uint64_t address;
};

class FwCfgTest : public testing::Test {
  protected:
    /// As OVMF: the whole descriptor big-endian, its address in two big-endian halves.
    void start_dma(std::uint64_t descriptor) {
        write_value(device_.dma_ports(), 0, 4, std::byteswap(static_cast<std::uint32_t>(descriptor >> 32)));
        write_value(device_.dma_ports(), 4, 4, std::byteswap(static_cast<std::uint32_t>(descriptor)));
    }
    /// Returns the control word that the device left.
    std::uint32_t dma(std::uint32_t control, std::uint32_t length, std::uint64_t address,
                      std::uint64_t descriptor = descriptor_at) {
        const Descriptor given{std::byteswap(control), std::byteswap(length), std::byteswap(address)};
        ram_.memory().write(GuestAddress{descriptor}, given);
        start_dma(descriptor);
        return std::byteswap(*ram_.memory().read<std::uint32_t>(GuestAddress{descriptor}));
    }
    void select(std::uint16_t item) { write_value(device_.ports(), 0, 2, item); }
    std::uint8_t next() { return static_cast<std::uint8_t>(read_value(device_.ports(), 1, 1)); }
    std::string text_at(std::uint64_t address, std::size_t size) {
        const auto bytes = ram_.bytes().subspan(address, size);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }

    FakeRam ram_{ram_size};
    FwCfg device_{ram_.memory()};
};

TEST_F(FwCfgTest, SignatureAndFeaturesByBytes) {
    select(0);
    EXPECT_THAT((std::array{next(), next(), next(), next()}), ElementsAre('Q', 'E', 'M', 'U'));
    EXPECT_EQ(next(), 0) << "zeros past the end";
    select(1);
    EXPECT_THAT((std::array{next(), next(), next(), next()}), ElementsAre(3, 0, 0, 0));
    select(0);
    EXPECT_EQ(next(), 'Q') << "selecting starts over";
}

TEST_F(FwCfgTest, UnknownItemsReadAsZeros) {
    select(0x4242);
    EXPECT_EQ(next(), 0);
    select(0xffff);
    EXPECT_EQ(next(), 0);
}

TEST_F(FwCfgTest, OddPortAccessesDoNothing) {
    select(0);
    EXPECT_EQ(read_value(device_.ports(), 0, 1), 0xffu);
    EXPECT_EQ(read_value(device_.ports(), 0, 2), 0xffffu);
    EXPECT_EQ(read_value(device_.ports(), 1, 4), 0xffff'ffffu);
    write_value(device_.ports(), 0, 1, 1);
    write_value(device_.ports(), 0, 4, 1);
    write_value(device_.ports(), 1, 1, 1);
    EXPECT_EQ(next(), 'Q') << "still the same item, still its start";
}

TEST_F(FwCfgTest, DmaPortsShowTheSignature) {
    EXPECT_EQ(std::byteswap(read_value(device_.dma_ports(), 0, 8)), 0x5145'4d55'2043'4647u);
    EXPECT_EQ(std::byteswap(static_cast<std::uint32_t>(read_value(device_.dma_ports(), 4, 4))), 0x2043'4647u);
    EXPECT_EQ(read_value(device_.dma_ports(), 6, 4), 0xffff'ffffu);
}

TEST_F(FwCfgTest, SelectAndReadInOneOperation) {
    EXPECT_EQ(dma(0u << 16 | op_select | op_read, 4, 0x2000), 0u);
    EXPECT_EQ(text_at(0x2000, 4), "QEMU");
}

TEST_F(FwCfgTest, SkipAndReadOn) {
    device_.set_bytes(0x30, bytes_of({'a', 'b', 'c', 'd', 'e', 'f'}));
    EXPECT_EQ(dma(0x30u << 16 | op_select | op_skip, 2, 0), 0u);
    EXPECT_EQ(dma(op_read, 2, 0x2000), 0u);
    EXPECT_EQ(text_at(0x2000, 2), "cd");
    EXPECT_EQ(next(), 'e') << "bytes and DMA share the position";
    EXPECT_EQ(dma(0, 100, 0), 0u) << "an operation without a verb does nothing";
    EXPECT_EQ(next(), 'f');
}

TEST_F(FwCfgTest, ReadPastTheEndGivesZeros) {
    std::ranges::fill(ram_.bytes().subspan(0x2000, 16), std::byte{0xee});
    EXPECT_EQ(dma(0u << 16 | op_select | op_read, 6, 0x2000), 0u);
    EXPECT_EQ(text_at(0x2000, 7), std::string("QEMU\0\0\xee", 7));
    EXPECT_EQ(dma(op_read, 2, 0x2000), 0u);
    EXPECT_EQ(text_at(0x2000, 2), std::string(2, '\0'));
    EXPECT_EQ(dma(0x4242u << 16 | op_select | op_read, 2, 0x2000), 0u) << "of an unknown item, too";
}

TEST_F(FwCfgTest, HugeSkipStopsAtTheEnd) {
    EXPECT_EQ(dma(0u << 16 | op_select | op_skip, 0xffff'ffff, 0), 0u);
    EXPECT_EQ(dma(op_skip, 0xffff'ffff, 0), 0u);
    EXPECT_EQ(next(), 0);
}

TEST_F(FwCfgTest, WritesAreRefused) {
    EXPECT_EQ(dma(0u << 16 | op_select | op_write, 4, 0x2000), op_error);
    select(0);
    EXPECT_EQ(next(), 'Q');
}

TEST_F(FwCfgTest, DestinationMustBeRam) {
    for (const auto& [length, address] : std::initializer_list<std::pair<std::uint32_t, std::uint64_t>>{
             {4, ram_size},
             {4, ram_size - 3},
             {0xffff'ffff, 0},
             {0xffff'ffff, 0x2000},
             {4, 0xffff'ffff'ffff'ffff},
             {0xffff'ffff, 0xffff'ffff'0000'0000},
             {4, 0xffc0'0000},
             {4, 0x8000'0000'0000'0000},
             {1, ram_size},
         }) {
        EXPECT_EQ(dma(0u << 16 | op_select | op_read, length, address), op_error) << std::hex << address;
    }
    EXPECT_EQ(dma(0u << 16 | op_select | op_read, 4, ram_size - 4), 0u);
    EXPECT_EQ(text_at(ram_size - 4, 4), "QEMU");
    EXPECT_EQ(dma(0u << 16 | op_select | op_read, 0, 0xffff'ffff'ffff'ffff), 0u) << "nothing to write";
}

TEST_F(FwCfgTest, DescriptorMustBeRam) {
    const std::vector<std::byte> before(ram_.bytes().begin(), ram_.bytes().end());
    for (const std::uint64_t address : {std::uint64_t{ram_size}, std::uint64_t{ram_size - 15}, UINT64_MAX,
                                        UINT64_MAX - 8, std::uint64_t{1} << 63})
        start_dma(address);
    EXPECT_TRUE(std::ranges::equal(ram_.bytes(), before));
    EXPECT_EQ(dma(0u << 16 | op_select | op_read, 4, 0x2000, ram_size - 16), 0u);
}

TEST_F(FwCfgTest, DestinationMayCoverTheDescriptor) {
    device_.set_bytes(0x30, std::vector<std::byte>(64, std::byte{0xff}));
    EXPECT_EQ(dma(0x30u << 16 | op_select | op_read, 64, descriptor_at - 8), 0u)
        << "the status is written last";
}

TEST_F(FwCfgTest, OddDmaPortAccessesStartNothing) {
    ram_.memory().write(GuestAddress{descriptor_at},
                        Descriptor{std::byteswap(op_select | op_read), std::byteswap(4u), 0});
    write_value(device_.dma_ports(), 4, 1, 0);
    write_value(device_.dma_ports(), 6, 2, 0);
    write_value(device_.dma_ports(), 0, 8, std::byteswap(descriptor_at));
    EXPECT_EQ(*ram_.memory().read<std::uint32_t>(GuestAddress{descriptor_at}),
              std::byteswap(op_select | op_read));
}

TEST_F(FwCfgTest, HighHalfOfTheAddressIsUsedOnce) {
    FakeRam high(ram_size, 0x1'0000'0000);
    FwCfg device(high.memory());
    high.memory().write(GuestAddress{0x1'0000'1000},
                        Descriptor{std::byteswap(op_select | op_read), std::byteswap(4u),
                                   std::byteswap(std::uint64_t{0x1'0000'2000})});
    write_value(device.dma_ports(), 0, 4, std::byteswap(1u));
    write_value(device.dma_ports(), 4, 4, std::byteswap(0x1000u));
    EXPECT_EQ(*high.memory().read<std::uint32_t>(GuestAddress{0x1'0000'1000}), 0u);
    EXPECT_EQ(*high.memory().read<std::uint32_t>(GuestAddress{0x1'0000'2000}), 0x554d'4551u);

    high.memory().write(GuestAddress{0x1'0000'1000}, std::byteswap(op_select | op_read));
    write_value(device.dma_ports(), 4, 4, std::byteswap(0x1000u));
    EXPECT_EQ(*high.memory().read<std::uint32_t>(GuestAddress{0x1'0000'1000}),
              std::byteswap(op_select | op_read))
        << "this one was for address 0x1000";
}

/// What QemuFwCfgFindFile does: count, then entry by entry.
TEST_F(FwCfgTest, DirectoryAsOvmfWalksIt) {
    ASSERT_TRUE(device_.add_file("etc/e820", bytes_of({1, 2, 3})));
    ASSERT_TRUE(device_.add_file("etc/acpi/rsdp", std::vector<std::byte>(36, std::byte{9})));
    EXPECT_EQ(dma(0x19u << 16 | op_select | op_read, 4, 0x2000), 0u);
    EXPECT_EQ(std::byteswap(*ram_.memory().read<std::uint32_t>({0x2000})), 2u);
    dma(op_skip, 64, 0);
    dma(op_read, 4, 0x2000);
    dma(op_read, 2, 0x2004);
    dma(op_skip, 2, 0);
    dma(op_read, 56, 0x2008);
    EXPECT_EQ(std::byteswap(*ram_.memory().read<std::uint32_t>({0x2000})), 36u);
    EXPECT_EQ(std::byteswap(*ram_.memory().read<std::uint16_t>({0x2004})), 0x21u);
    EXPECT_STREQ(text_at(0x2008, 56).c_str(), "etc/acpi/rsdp");
    select(0x20);
    EXPECT_THAT((std::array{next(), next(), next(), next()}), ElementsAre(1, 2, 3, 0));
}

TEST_F(FwCfgTest, FileNamesAreChecked) {
    EXPECT_TRUE(device_.add_file(std::string(55, 'x'), {}));
    EXPECT_THAT(device_.add_file(std::string(56, 'x'), {}).error().message(), HasSubstr("1 to 55"));
    EXPECT_THAT(device_.add_file("", {}).error().message(), HasSubstr("1 to 55"));
    EXPECT_TRUE(device_.add_file("same", {}));
    EXPECT_THAT(device_.add_file("same", {}).error().message(), HasSubstr("already"));
}

TEST_F(FwCfgTest, KernelAndCommandLine) {
    const auto image = bytes_of({'M', 'Z', 7});
    device_.set_kernel(image, "a -- sum");
    EXPECT_EQ(dma(0x08u << 16 | op_select | op_read, 4, 0x2000), 0u);
    EXPECT_EQ(*ram_.memory().read<std::uint32_t>({0x2000}), 3u) << "numbers are little-endian";
    dma(0x17u << 16 | op_select | op_read, 4, 0x2000);
    EXPECT_EQ(*ram_.memory().read<std::uint32_t>({0x2000}), 0u);
    dma(0x11u << 16 | op_select | op_read, 3, 0x2000);
    EXPECT_EQ(text_at(0x2000, 3), "MZ\x07");
    dma(0x14u << 16 | op_select | op_read, 4, 0x2000);
    EXPECT_EQ(*ram_.memory().read<std::uint32_t>({0x2000}), 9u) << "the NUL counts";
    dma(0x15u << 16 | op_select | op_read, 9, 0x2000);
    EXPECT_EQ(text_at(0x2000, 9), std::string("a -- sum\0", 9));
}

TEST_F(FwCfgTest, ObserverSeesWhatWasDone) {
    std::vector<std::string> seen;
    device_.set_dma_observer([&](const FwCfg::Dma& dma) {
        seen.push_back(std::to_string(dma.selector) + ":" + std::to_string(dma.offset) + " " +
                       std::to_string(dma.data.size()) + (dma.failed ? " failed" : ""));
    });
    dma(op_select | op_read, 2, 0x2000);
    dma(op_read, 2, 0x2000);
    dma(op_read, 2, ram_size);
    dma(5u << 16 | op_select | op_write, 2, 0);
    EXPECT_THAT(seen, ElementsAre("0:0 2", "0:2 2", "0:4 0 failed", "5:0 0 failed"));
}

}  // namespace
}  // namespace exo::vmm
