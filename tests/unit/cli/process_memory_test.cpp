#include "vmm/cli/process_memory.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace exo::vmm {
namespace {

constexpr char smaps[] =
    "00001000-00003000 r-xp 00000000 08:01 42                         /usr/bin/vmm\n"
    "Size:                  8 kB\n"
    "Private_Clean:         4 kB\n"
    "Private_Dirty:         2 kB\n"
    "Private_Hugetlb:      99 kB\n"
    "VmFlags: rd ex\n"
    "00100000-00200000 rw-p 00000000 00:00 0 \n"
    "Private_Dirty:      1000 kB\n"
    "7fff0000-7fff1000 rw-p 00000000 00:00 0                          [stack]\n"
    "Private_Dirty:        16 kB";

std::span<const std::byte> at(std::uintptr_t start, std::size_t size) {
    return {reinterpret_cast<const std::byte*>(start), size};
}

TEST(ProcessMemory, SumsPrivatePages) {
    EXPECT_EQ(private_kib(smaps, {}), 4u + 2 + 1000 + 16);
}

TEST(ProcessMemory, LeavesOutWhatOverlaps) {
    const std::array excluded = {at(0x180000, 0x1000)};
    EXPECT_EQ(private_kib(smaps, excluded), 4u + 2 + 16);
    const std::array beside = {at(0x200000, 0x1000), at(0xff000, 0x1000)};
    EXPECT_EQ(private_kib(smaps, beside), 4u + 2 + 1000 + 16);
}

TEST(ProcessMemory, OwnMemoryIsSeen) {
    std::vector<std::byte> touched(8u << 20, std::byte{1});
    const std::array excluded = {std::span<const std::byte>(touched)};
    // In this order: what measuring itself allocates may only widen the difference.
    const std::uint64_t without = own_private_kib(excluded);
    EXPECT_GE(own_private_kib({}), without + 8000);
}

}  // namespace
}  // namespace exo::vmm
