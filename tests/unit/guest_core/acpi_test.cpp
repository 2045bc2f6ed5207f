#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "guest/drivers/acpi/fadt.h"
#include "guest/drivers/acpi/madt.h"
#include "guest/drivers/acpi/sleep_state.h"
#include "guest/drivers/acpi/tables.h"

namespace exo::guest::acpi {
namespace {

using Buffer = std::vector<std::byte>;

template <typename T>
void put(Buffer& buffer, std::size_t offset, T value) {
    if (buffer.size() < offset + sizeof(T)) buffer.resize(offset + sizeof(T));
    std::memcpy(buffer.data() + offset, &value, sizeof(T));
}

void fix_checksum(Buffer& buffer, std::size_t at, std::size_t size) {
    buffer[at] = std::byte{0};
    unsigned sum = 0;
    for (std::size_t i = 0; i < size; ++i) sum += std::to_integer<unsigned>(buffer[i]);
    buffer[at] = static_cast<std::byte>(256 - sum % 256);
}

/// A table with a right header; `size` is the whole length.
Buffer table(const char* name, std::size_t size = table_header_size) {
    Buffer buffer(size);
    std::memcpy(buffer.data(), name, 4);
    put<std::uint32_t>(buffer, 4, static_cast<std::uint32_t>(size));
    return buffer;
}
void seal(Buffer& buffer) {
    put<std::uint32_t>(buffer, 4, static_cast<std::uint32_t>(buffer.size()));
    fix_checksum(buffer, 9, buffer.size());
}

/// Physical memory with tables here and there.
class Memory final : public PhysicalMemory {
  public:
    std::map<std::uint64_t, Buffer> pieces;
    std::size_t views = 0;

    Result<std::span<const std::byte>> view(std::uint64_t physical, std::size_t size) override {
        ++views;
        for (const auto& [start, bytes] : pieces) {
            if (physical < start || physical - start >= bytes.size()) continue;
            const std::size_t offset = physical - start;
            if (size > bytes.size() - offset) break;
            return std::span(bytes).subspan(offset, size);
        }
        return fail("memory", "not there");
    }

    void place(std::uint64_t at, Buffer buffer) {
        seal(buffer);
        pieces[at] = std::move(buffer);
    }
    void place_rsdp(std::uint64_t at, std::uint32_t rsdt, std::uint64_t xsdt, std::uint8_t revision) {
        Buffer rsdp(36);
        std::memcpy(rsdp.data(), "RSD PTR ", 8);
        put<std::uint8_t>(rsdp, 15, revision);
        put<std::uint32_t>(rsdp, 16, rsdt);
        put<std::uint32_t>(rsdp, 20, 36);
        put<std::uint64_t>(rsdp, 24, xsdt);
        fix_checksum(rsdp, 8, 20);
        fix_checksum(rsdp, 32, 36);
        pieces[at] = rsdp;
    }
};

Buffer root(const char* name, std::vector<std::uint64_t> entries, bool wide) {
    Buffer buffer = table(name);
    for (const std::uint64_t entry : entries) {
        if (wide) {
            put<std::uint64_t>(buffer, buffer.size(), entry);
        } else {
            put<std::uint32_t>(buffer, buffer.size(), static_cast<std::uint32_t>(entry));
        }
    }
    return buffer;
}

TEST(AcpiTables, FollowsTheXsdt) {
    Memory memory;
    memory.place_rsdp(0x1000, 0x2000, 0x1'0000'3000, 2);
    memory.place(0x1'0000'3000, root("XSDT", {0x4000, 0x5000, 0x6000}, true));
    memory.place(0x4000, table("FACP"));
    memory.place(0x5000, table("SSDT", 100));
    memory.place(0x6000, table("SSDT", 50));
    const auto tables = Tables::read(memory, 0x1000);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->revision(), 2u);
    EXPECT_EQ(tables->all().size(), 3u);
    EXPECT_EQ(tables->rejected(), 0u);
    EXPECT_EQ(tables->find("SSDT", 1)->bytes.size(), 50u);
    EXPECT_EQ(tables->find("SSDT", 2), nullptr);
    EXPECT_EQ(tables->find("APIC"), nullptr);
}

TEST(AcpiTables, FollowsTheRsdtOfOldFirmware) {
    Memory memory;
    memory.place_rsdp(0x1000, 0x2000, 0, 0);
    memory.place(0x2000, root("RSDT", {0x4000}, false));
    memory.place(0x4000, table("APIC", 44));
    const auto tables = Tables::read(memory, 0x1000);
    ASSERT_TRUE(tables);
    EXPECT_NE(tables->find("APIC"), nullptr);
}

TEST(AcpiTables, FallsBackToTheRsdtWhenTheXsdtIsBroken) {
    Memory memory;
    memory.place_rsdp(0x1000, 0x2000, 0x3000, 2);
    memory.place(0x2000, root("RSDT", {0x4000}, false));
    memory.place(0x3000, root("XSDT", {0x4000}, true));
    memory.pieces[0x3000][20] ^= std::byte{1};
    memory.place(0x4000, table("APIC", 44));
    const auto tables = Tables::read(memory, 0x1000);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->all().size(), 1u);
}

TEST(AcpiTables, SaysWhyThereIsNoValidRoot) {
    Memory memory;
    EXPECT_FALSE(Tables::read(memory, 0x1000)) << "nothing there";
    memory.place_rsdp(0x1000, 0x2000, 0, 0);
    EXPECT_FALSE(Tables::read(memory, 0x1000)) << "no table there";
    memory.place(0x2000, root("ABCD", {}, false));
    EXPECT_EQ(Tables::read(memory, 0x1000).error().why, "it has the wrong name");
    memory.place(0x2000, root("RSDT", {}, false));
    EXPECT_TRUE(Tables::read(memory, 0x1000));
    memory.pieces[0x1000][9] ^= std::byte{0x10};
    EXPECT_EQ(Tables::read(memory, 0x1000).error().why, "its checksum is wrong");
    memory.pieces[0x1000][0] = std::byte{'X'};
    EXPECT_EQ(Tables::read(memory, 0x1000).error().why, "it has no signature");
}

TEST(AcpiTables, LeavesOutTablesThatAreNotValid) {
    Memory memory;
    memory.place_rsdp(0x1000, 0x2000, 0, 0);
    memory.place(0x2000, root("RSDT", {0x4000, 0x5000, 0x6000, 0x7000, 0x8000, 0}, false));
    memory.place(0x4000, table("GOOD"));
    memory.place(0x5000, table("SUM_"));
    memory.pieces[0x5000][30] ^= std::byte{1};
    memory.place(0x6000, table("LONG"));
    put<std::uint32_t>(memory.pieces[0x6000], 4, 0x7fff'ffff);
    memory.place(0x7000, table("PAST"));  // longer than the memory that is there
    put<std::uint32_t>(memory.pieces[0x7000], 4, 4096);
    memory.place(0x8000, table("TINY"));
    put<std::uint32_t>(memory.pieces[0x8000], 4, 8);
    const auto tables = Tables::read(memory, 0x1000);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->all().size(), 1u);
    EXPECT_EQ(tables->rejected(), 5u);
}

TEST(AcpiTables, EndsAlthoughTheRootListsThousands) {
    Memory memory;
    memory.place_rsdp(0x1000, 0x2000, 0, 0);
    memory.place(0x2000, root("RSDT", std::vector<std::uint64_t>(10'000, 0x4000), false));
    memory.place(0x4000, table("SAME"));
    const auto tables = Tables::read(memory, 0x1000);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->all().size(), Tables::max_tables);
}

Table as_table(const Buffer& buffer) {
    return Table{.signature = {}, .bytes = buffer};
}

TEST(Fadt, ReadsThePlainFields) {
    Buffer fadt = table("FACP", 116);
    put<std::uint32_t>(fadt, 40, 0x7fe0'0000);
    put<std::uint32_t>(fadt, 48, 0xb2);
    put<std::uint8_t>(fadt, 52, 0xf1);
    put<std::uint32_t>(fadt, 64, 0xb004);
    put<std::uint32_t>(fadt, 76, 0xb008);
    const Fadt parsed = Fadt::parse(as_table(fadt));
    EXPECT_EQ(parsed.dsdt, 0x7fe0'0000u);
    EXPECT_EQ(parsed.smi_command, 0xb2u);
    EXPECT_EQ(parsed.acpi_enable, 0xf1u);
    EXPECT_EQ(parsed.pm1a_control, 0xb004);
    EXPECT_EQ(parsed.pm1b_control, std::nullopt);
    EXPECT_EQ(parsed.pm_timer->address, 0xb008u);
    EXPECT_FALSE(parsed.reset_register) << "no flag says that it is there";
}

TEST(Fadt, PrefersTheExtendedFields) {
    using Space = GenericAddress::Space;
    Buffer fadt = table("FACP", 276);
    put<std::uint32_t>(fadt, 40, 0x1000);
    put<std::uint64_t>(fadt, 140, 0x1'0000'2000);
    put<std::uint32_t>(fadt, 64, 0xb004);
    put<std::uint8_t>(fadt, 172, 1);
    put<std::uint64_t>(fadt, 176, 0x604);
    put<std::uint8_t>(fadt, 208, 0);
    put<std::uint64_t>(fadt, 212, 0xfed0'0008);
    put<std::uint32_t>(fadt, 112, 1u << 10 | 1u << 8);
    put<std::uint8_t>(fadt, 116, 1);
    put<std::uint64_t>(fadt, 120, 0xcf9);
    put<std::uint8_t>(fadt, 128, 6);
    const Fadt parsed = Fadt::parse(as_table(fadt));
    EXPECT_EQ(parsed.dsdt, 0x1'0000'2000u);
    EXPECT_EQ(parsed.pm1a_control, 0x604);
    EXPECT_EQ(parsed.pm_timer->space, Space::memory);
    EXPECT_EQ(parsed.pm_timer->address, 0xfed0'0008u);
    EXPECT_TRUE(parsed.pm_timer_32_bit);
    EXPECT_EQ(parsed.reset_register->address, 0xcf9u);
    EXPECT_EQ(parsed.reset_value, 6u);
}

TEST(Fadt, IgnoresPortsThatCannotBe) {
    Buffer fadt = table("FACP", 276);
    put<std::uint32_t>(fadt, 64, 0x1'0000);
    put<std::uint32_t>(fadt, 48, 0xffff'ffff);
    put<std::uint8_t>(fadt, 172, 1);
    put<std::uint64_t>(fadt, 176, 0x1'0000);
    put<std::uint8_t>(fadt, 208, 77);  // no such address space
    put<std::uint64_t>(fadt, 212, 0xb008);
    const Fadt parsed = Fadt::parse(as_table(fadt));
    EXPECT_EQ(parsed.pm1a_control, std::nullopt);
    EXPECT_EQ(parsed.smi_command, 0u);
    EXPECT_FALSE(parsed.pm_timer);
}

TEST(Madt, ReadsProcessorsAndRoutes) {
    Buffer madt = table("APIC", 44);
    put<std::uint32_t>(madt, 36, 0xfee0'0000);
    const auto add = [&](std::initializer_list<unsigned> bytes) {
        for (const unsigned byte : bytes) madt.push_back(static_cast<std::byte>(byte));
    };
    add({0, 8, 0, 3, 1, 0, 0, 0});                                 // processor 3, enabled
    add({0, 8, 1, 4, 0, 0, 0, 0});                                 // processor 4, not
    add({9, 16, 0, 0, 0x34, 0x12, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0});  // x2APIC 0x1234
    add({1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0});             // I/O APIC for interrupts from 24 on
    add({2, 10, 0, 9, 20, 0, 0, 0, 0x0f, 0});                      // line 9 → 20, low, level
    add({2, 10, 0, 200, 1, 0, 0, 0, 0, 0});                        // no such line
    add({5, 12, 0, 0, 0, 0, 0xe0, 0xfe, 1, 0, 0, 0});              // local APIC at 0x1fee00000
    const Madt parsed = Madt::parse(as_table(madt));
    EXPECT_EQ(parsed.cpu_count, 2u);
    EXPECT_EQ(parsed.apic_ids[0], 3u);
    EXPECT_EQ(parsed.apic_ids[1], 0x1234u);
    ASSERT_EQ(parsed.io_apic_count, 1u);
    EXPECT_EQ(parsed.io_apics[0].address, 0xfec0'0000u);
    EXPECT_EQ(parsed.io_apics[0].first_interrupt, 24u);
    EXPECT_EQ(parsed.isa[9].global_interrupt, 20u);
    EXPECT_TRUE(parsed.isa[9].active_low);
    EXPECT_TRUE(parsed.isa[9].level_triggered);
    EXPECT_EQ(parsed.isa[4].global_interrupt, 4u);
    EXPECT_FALSE(parsed.isa[4].active_low);
    EXPECT_EQ(parsed.local_apic_address, 0x1'fee0'0000u);
}

TEST(Madt, StopsAtEntriesThatMakeNoSense) {
    for (const unsigned length : {0u, 1u, 200u}) {
        Buffer madt = table("APIC", 44);
        madt.push_back(std::byte{0});
        madt.push_back(static_cast<std::byte>(length));
        for (int i = 0; i < 6; ++i) madt.push_back(std::byte{1});
        EXPECT_EQ(Madt::parse(as_table(madt)).cpu_count, 0u) << length;
    }
    EXPECT_EQ(Madt::parse(as_table(table("APIC", 36))).io_apic_count, 0u);
}

TEST(Madt, SurvivesAnything) {
    std::mt19937 random(4);
    for (int i = 0; i < 20'000; ++i) {
        Buffer madt = table("APIC", 44 + random() % 120);
        for (std::size_t k = table_header_size; k < madt.size(); ++k)
            madt[k] = static_cast<std::byte>(random() % (i % 2 ? 16 : 256));
        const Madt parsed = Madt::parse(as_table(madt));
        ASSERT_LE(parsed.cpu_count, Madt::max_cpus);
        ASSERT_LE(parsed.io_apic_count, Madt::max_io_apics);
        Fadt::parse(as_table(madt));
        find_soft_off(madt);
    }
}

Buffer aml(std::initializer_list<unsigned> bytes) {
    Buffer buffer = table("DSDT");
    for (const unsigned byte : bytes) buffer.push_back(static_cast<std::byte>(byte));
    return buffer;
}

TEST(SoftOff, IsFoundInTheShapesThatCompilersWrite) {
    // QEMU: Name (_S5_, Package () {Zero, Zero, Zero, Zero})
    auto found = find_soft_off(aml({0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x00, 0x00, 0x00, 0x00}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->pm1a, 0u);
    // Name (\_S5_, Package () {0x05, 0x07, …}), behind other code.
    found = find_soft_off(aml({0x10, 0x20, 0x5c, 0x00, 0x08, '\\', '_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a,
                               0x05, 0x0a, 0x07, 0x00, 0x00}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->pm1a, 5u);
    EXPECT_EQ(found->pm1b, 7u);
    // A length of two bytes, one element, a word.
    found = find_soft_off(aml({0x08, '_', 'S', '5', '_', 0x12, 0x45, 0x00, 0x01, 0x0b, 0x01, 0x00}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->pm1a, 1u);
    EXPECT_EQ(found->pm1b, 0u);
}

TEST(SoftOff, IsNotFoundWhereItOnlySeemsToBe) {
    EXPECT_FALSE(find_soft_off(aml({})));
    EXPECT_FALSE(find_soft_off({}));
    EXPECT_FALSE(find_soft_off(aml({'_', 'S', '5', '_'}))) << "not a name";
    EXPECT_FALSE(find_soft_off(aml({0x08, '_', 'S', '5', '_'}))) << "cut off";
    EXPECT_FALSE(find_soft_off(aml({0x08, '_', 'S', '5', '_', 0x12}))) << "cut off";
    EXPECT_FALSE(find_soft_off(aml({0x08, '_', 'S', '5', '_', 0x12, 0xc6, 0x04}))) << "cut off in the length";
    EXPECT_FALSE(find_soft_off(aml({0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a})))
        << "cut off in the number";
    EXPECT_FALSE(find_soft_off(aml({0x08, '_', 'S', '5', '_', 0x14, 0x06, 0x04, 0x00, 0x00}))) << "a method";
    EXPECT_FALSE(find_soft_off(aml({0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x00, 0x00, 0x00}))) << "empty";
    EXPECT_FALSE(find_soft_off(aml({0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x08, 0x00})))
        << "no sleep type";
}

TEST(SoftOff, IsFoundBehindADecoy) {
    const auto found =
        find_soft_off(aml({'_', 'S', '5', '_', 0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x02, 0x01, 0x01}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->pm1a, 1u);
    EXPECT_EQ(found->pm1b, 1u);
}

}  // namespace
}  // namespace exo::guest::acpi
