#include "vmm/machine/layout.h"

#include <gtest/gtest.h>

#include <cstring>

#include "vmm/machine/e820.h"

namespace exo::vmm {
namespace {

using namespace layout;

TEST(Layout, RamUpToTwoGiBStaysLow) {
    EXPECT_EQ(split_ram(64 * mib), (RamSplit{64 * mib, 0}));
    EXPECT_EQ(split_ram(2 * gib), (RamSplit{2 * gib, 0}));
    EXPECT_EQ(split_ram(2 * gib + 4096), (RamSplit{2 * gib, 4096}));
    EXPECT_EQ(split_ram(5 * gib).top(), GuestAddress{7 * gib});
}

/// OVMF's 4M and 2M builds.
TEST(Layout, FlashEndsAtFourGiB) {
    const FlashLayout large = place_flash(0x84000, 0x37c000);
    EXPECT_EQ(large.variables, (AddressRange{0xffc0'0000, 0x84000}));
    EXPECT_EQ(large.code, (AddressRange{0xffc8'4000, 0x37c000}));
    const FlashLayout small = place_flash(0x20000, 0x1e0000);
    EXPECT_EQ(small.variables.start, 0xffe0'0000u);
    EXPECT_EQ(small.code.start, 0xffe2'0000u);
}

TEST(Layout, SixtyFourBitWindowLiesAboveRamInsideTheAddressWidth) {
    const PciWindows none_above = pci_windows(split_ram(gib), 36);
    EXPECT_EQ(none_above.memory64, (AddressRange{4 * gib, 60 * gib}));
    EXPECT_EQ(pci_windows(split_ram(2 * gib + 1), 40).memory64.start, 5 * gib);
    EXPECT_EQ(pci_windows(split_ram(70 * gib), 36).memory64.size, 0u) << "RAM reaches past it";
}

TEST(Layout, NothingOverlaps) {
    const AddressRange places[] = {
        {0, low_ram_limit},
        pci_memory32_window,
        {ioapic_base.value, 4096},
        msi_window,
        kvm_reserved,
        {flash_end - max_flash, max_flash},
        pci_windows(split_ram(3 * gib), 40).memory64,
    };
    for (const auto& a : places)
        for (const auto& b : places)
            EXPECT_TRUE(&a == &b || !a.overlaps(b)) << std::hex << a.start << ' ' << b.start;
    EXPECT_TRUE(kvm_reserved.contains({kvm_identity_map.value, 4096}));
    EXPECT_TRUE(kvm_reserved.contains({kvm_tss.value, 3 * 4096}));
}

TEST(E820, RamAndWhatKvmKeeps) {
    const auto bytes = e820_file(split_ram(3 * gib));
    ASSERT_EQ(bytes.size(), 60u);
    const auto entry = [&bytes](std::size_t index) {
        std::uint64_t range[2];
        std::uint32_t kind = 0;
        std::memcpy(range, bytes.data() + index * 20, 16);
        std::memcpy(&kind, bytes.data() + index * 20 + 16, 4);
        return std::tuple(range[0], range[1], kind);
    };
    EXPECT_EQ(entry(0), std::tuple(0u, 2 * gib, 1u));
    EXPECT_EQ(entry(1), std::tuple(0xfeff'c000u, 0x4000u, 2u));
    EXPECT_EQ(entry(2), std::tuple(4 * gib, gib, 1u));
    EXPECT_EQ(e820_file(split_ram(gib)).size(), 40u);
}

}  // namespace
}  // namespace exo::vmm
