#include "vmm/machine/acpi/tables.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/unit/machine/fakes.h"
#include "vmm/machine/acpi/structures.h"
#include "vmm/machine/power_management.h"

namespace exo::vmm::acpi {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Memory after a firmware has carried out etc/table-loader, as OVMF's AcpiPlatformDxe does: each blob
/// somewhere, pointers relocated, checksums filled in.
class Loaded {
  public:
    explicit Loaded(const Files& files)
        : files_{{Files::rsdp_name, files.rsdp}, {Files::tables_name, files.tables}}, memory_(memory_size) {
        for (std::size_t at = 0; at + 128 <= files.loader.size(); at += 128)
            execute(files.loader.data() + at);
        EXPECT_EQ(files.loader.size() % 128, 0u);
    }

    /// An address of guest memory.
    template <typename T>
    T read(std::uint64_t address) const {
        T value{};
        EXPECT_LE(address + sizeof value, memory_.size());
        std::memcpy(&value, memory_.data() + address, sizeof value);
        return value;
    }
    std::span<const std::byte> bytes(std::uint64_t address, std::size_t size) const {
        return std::span(memory_).subspan(address, size);
    }
    std::uint64_t address_of(const std::string& file) const { return placed_.at(file); }
    std::uint64_t rsdp() const { return address_of(Files::rsdp_name); }

    unsigned sum(std::uint64_t address, std::size_t size) const {
        unsigned sum = 0;
        for (const std::byte byte : bytes(address, size)) sum += std::to_integer<unsigned>(byte);
        return sum & 0xff;
    }

  private:
    static constexpr std::size_t memory_size = 256 * 1024;

    template <typename T>
    static T field(const std::byte* command, std::size_t offset) {
        T value{};
        std::memcpy(&value, command + offset, sizeof value);
        return value;
    }
    static std::string name(const std::byte* command, std::size_t offset) {
        return reinterpret_cast<const char*>(command + offset);
    }

    void execute(const std::byte* command) {
        switch (field<std::uint32_t>(command, 0)) {
            case 1:
                allocate(name(command, 4), field<std::uint32_t>(command, 60),
                         field<std::uint8_t>(command, 64));
                break;
            case 2:
                add_pointer(name(command, 4), name(command, 60), field<std::uint32_t>(command, 116),
                            field<std::uint8_t>(command, 120));
                break;
            case 3:
                add_checksum(name(command, 4), field<std::uint32_t>(command, 60),
                             field<std::uint32_t>(command, 64), field<std::uint32_t>(command, 68));
                break;
            default:
                ADD_FAILURE() << "unknown command";
        }
    }
    void allocate(const std::string& file, std::uint32_t alignment, std::uint8_t zone) {
        ASSERT_EQ(files_.count(file), 1u) << file;
        EXPECT_TRUE(zone == 1 || zone == 2);
        EXPECT_TRUE(std::has_single_bit(alignment));
        next_ = (next_ + alignment - 1) / alignment * alignment;
        placed_[file] = next_;
        std::ranges::copy(files_.at(file), memory_.begin() + static_cast<std::ptrdiff_t>(next_));
        next_ += files_.at(file).size() + 13;
    }
    void add_pointer(const std::string& file, const std::string& pointee, std::uint32_t offset,
                     std::uint8_t size) {
        ASSERT_TRUE(placed_.contains(file) && placed_.contains(pointee));
        ASSERT_LE(offset + size, files_.at(file).size());
        std::uint64_t value = 0;
        std::memcpy(&value, &memory_[placed_[file] + offset], size);
        ASSERT_LT(value, files_.at(pointee).size());
        value += placed_[pointee];
        std::memcpy(&memory_[placed_[file] + offset], &value, size);
    }
    void add_checksum(const std::string& file, std::uint32_t offset, std::uint32_t start,
                      std::uint32_t length) {
        ASSERT_LE(start + length, files_.at(file).size());
        const std::uint64_t base = placed_.at(file);
        memory_[base + offset] = std::byte(0x100 - sum(base + start, length));
    }

    std::map<std::string, std::vector<std::byte>> files_;
    std::vector<std::byte> memory_;
    std::map<std::string, std::uint64_t> placed_;
    std::uint64_t next_ = 0x1000;
};

class AcpiTest : public testing::Test {
  protected:
    std::uint64_t find(const char* signature) const {
        const auto xsdt = loaded_.read<Rsdp>(loaded_.rsdp()).xsdt;
        const auto header = loaded_.read<TableHeader>(xsdt);
        for (std::uint64_t at = xsdt + sizeof header; at < xsdt + header.length; at += 8) {
            const auto table = loaded_.read<std::uint64_t>(at);
            if (std::memcmp(loaded_.bytes(table, 4).data(), signature, 4) == 0) return table;
        }
        ADD_FAILURE() << signature << " is not in the XSDT";
        return 0;
    }
    Fadt fadt() const { return loaded_.read<Fadt>(find("FACP")); }
    void expect_table(std::uint64_t address) const {
        const auto header = loaded_.read<TableHeader>(address);
        const std::string_view name(header.signature, 4);
        EXPECT_EQ(loaded_.sum(address, header.length), 0u) << name;
        EXPECT_EQ(std::string_view(header.oem_id, 6), "EXOOS ") << name;
        EXPECT_EQ(std::string_view(header.oem_table_id, 8), "EXOVMM  ") << name;
    }

    static constexpr unsigned cpus = 3;
    layout::PciWindows windows_ = layout::pci_windows(layout::split_ram(3 * layout::gib), 40);
    Loaded loaded_{build({.cpus = cpus, .windows = windows_})};
};

TEST_F(AcpiTest, RootPointerLeadsToBothRoots) {
    const auto rsdp = loaded_.read<Rsdp>(loaded_.rsdp());
    EXPECT_EQ(std::string_view(rsdp.signature, 8), "RSD PTR ");
    EXPECT_EQ(loaded_.rsdp() % 16, 0u);
    EXPECT_EQ(loaded_.sum(loaded_.rsdp(), 20), 0u);
    EXPECT_EQ(loaded_.sum(loaded_.rsdp(), 36), 0u);
    EXPECT_EQ(rsdp.revision, 2);
    expect_table(rsdp.rsdt);
    expect_table(rsdp.xsdt);

    const auto rsdt = loaded_.read<TableHeader>(rsdp.rsdt);
    const auto xsdt = loaded_.read<TableHeader>(rsdp.xsdt);
    ASSERT_EQ((rsdt.length - 36) / 4, (xsdt.length - 36) / 8);
    for (unsigned i = 0; i < (rsdt.length - 36) / 4; ++i)
        EXPECT_EQ(loaded_.read<std::uint32_t>(rsdp.rsdt + 36 + 4 * i),
                  loaded_.read<std::uint64_t>(rsdp.xsdt + 36 + 8 * i));
}

TEST_F(AcpiTest, FadtTellsTheFixedHardware) {
    expect_table(find("FACP"));
    const Fadt table = fadt();
    EXPECT_EQ(+table.pm1a_event, 0xb000u);
    EXPECT_EQ(+table.pm1a_control, 0xb004u);
    EXPECT_EQ(+table.pm_timer, 0xb008u);
    EXPECT_EQ(+table.x_pm1a_event.address, 0xb000u);
    EXPECT_EQ(+table.x_pm1a_control.address, 0xb004u);
    EXPECT_EQ(+table.x_pm_timer.address, 0xb008u);
    EXPECT_EQ(+table.sci_interrupt, layout::sci_irq);
    EXPECT_EQ(+table.smi_command, 0u) << "no SMM: always in ACPI mode";
    EXPECT_EQ(+table.reset.address, 0xcf9u);
    EXPECT_EQ(+table.reset_value, 6);
    EXPECT_TRUE(table.flags & 1u << 10) << "the reset register is there";
    EXPECT_FALSE(table.flags & 1u << 8) << "the timer has 24 bits";
    EXPECT_FALSE(table.flags & 1u << 20) << "not hardware-reduced";
    EXPECT_EQ(+table.century, 0x32);
}

TEST_F(AcpiTest, FadtPointsToDsdtAndFacs) {
    const Fadt table = fadt();
    EXPECT_EQ(+table.dsdt, +table.x_dsdt);
    expect_table(table.dsdt);
    EXPECT_EQ(loaded_.read<std::uint32_t>(table.dsdt), 0x5444'5344u) << "DSDT";
    EXPECT_EQ(loaded_.read<std::uint32_t>(table.facs), 0x5343'4146u) << "FACS";
    EXPECT_EQ(table.facs % 64, 0u);
    EXPECT_EQ(loaded_.read<Facs>(table.facs).length, 64u);
}

TEST_F(AcpiTest, MadtListsEveryCpuAndTheIoApic) {
    const std::uint64_t madt = find("APIC");
    expect_table(madt);
    const auto table = loaded_.read<Madt>(madt);
    EXPECT_EQ(+table.local_apic, 0xfee0'0000u);
    EXPECT_EQ(+table.flags, 1u);

    std::vector<std::string> entries;
    for (std::uint64_t at = madt + sizeof table; at < madt + table.header.length;) {
        switch (loaded_.read<std::uint8_t>(at)) {
            case 0: {
                const auto cpu = loaded_.read<MadtLocalApic>(at);
                entries.push_back(
                    fmt::format("cpu {} apic {} flags {}", cpu.processor, cpu.apic_id, +cpu.flags));
                break;
            }
            case 1: {
                const auto io = loaded_.read<MadtIoApic>(at);
                entries.push_back(fmt::format("ioapic {:x} from {}", +io.address, +io.first_interrupt));
                break;
            }
            case 2: {
                const auto change = loaded_.read<MadtOverride>(at);
                entries.push_back(
                    fmt::format("irq {} is {} flags {:x}", change.source, +change.interrupt, +change.flags));
                break;
            }
            case 4:
                entries.push_back(fmt::format("nmi at pin {}", loaded_.read<MadtLocalNmi>(at).pin));
                break;
            default:
                ADD_FAILURE() << "unknown entry";
        }
        const auto length = loaded_.read<std::uint8_t>(at + 1);
        ASSERT_GT(length, 0);
        at += length;
    }
    EXPECT_THAT(entries, testing::ElementsAre("cpu 0 apic 0 flags 1", "cpu 1 apic 1 flags 1",
                                              "cpu 2 apic 2 flags 1", "ioapic fec00000 from 0",
                                              "irq 0 is 2 flags 0", "irq 9 is 9 flags d", "nmi at pin 1"));
}

TEST_F(AcpiTest, MostCpusFit) {
    const Loaded loaded(build({.cpus = layout::max_cpus, .windows = windows_}));
    const auto xsdt = loaded.read<Rsdp>(loaded.rsdp()).xsdt;
    const auto madt = loaded.read<std::uint64_t>(xsdt + 36 + 8);
    EXPECT_EQ(loaded.read<TableHeader>(madt).length, 44 + 254 * 8 + 12 + 10 + 10 + 6);
    EXPECT_EQ(loaded.sum(madt, loaded.read<TableHeader>(madt).length), 0u);
}

/// The tables as files, for ACPICA's tools.
class AcpiToolTest : public AcpiTest {
  protected:
    AcpiToolTest() {
        folder_ = std::filesystem::path(testing::TempDir()) / fmt::format("acpi-{}", getpid());
        std::filesystem::create_directories(folder_);
        save("dsdt", fadt().dsdt);
        save("facp", find("FACP"));
        save("apic", find("APIC"));
        save("facs", fadt().facs);
        save("rsdt", loaded_.read<Rsdp>(loaded_.rsdp()).rsdt);
        save("xsdt", loaded_.read<Rsdp>(loaded_.rsdp()).xsdt);
    }
    ~AcpiToolTest() override { std::filesystem::remove_all(folder_); }

    void save(const std::string& name, std::uint64_t address) const {
        const auto bytes = loaded_.bytes(address, loaded_.read<TableHeader>(address).length);
        std::ofstream(path(name + ".aml"), std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    std::string path(const std::string& name) const { return (folder_ / name).string(); }

    /// Output and errors of a command run in the folder.
    std::string run(const std::string& command) const {
        const std::string line = fmt::format("cd '{}' && timeout 60 {} 2>&1", folder_.string(), command);
        std::string output;
        std::FILE* pipe = popen(line.c_str(), "r");
        for (std::array<char, 4096> chunk{};
             std::size_t size = std::fread(chunk.data(), 1, chunk.size(), pipe);)
            output.append(chunk.data(), size);
        exit_status_ = pclose(pipe);
        return output;
    }
    /// Runs the commands in ACPICA's interpreter with our DSDT loaded. It also tries to set the resources it
    /// has read, which is not for them: that complaint is left out.
    std::string execute(const std::string& commands) const {
        const std::string output = run(fmt::format(
            "{} -b '{}; quit' dsdt.aml 2>&1 | grep -v AcpiSetCurrentResources", EXO_ACPIEXEC, commands));
        EXPECT_THAT(output, Not(HasSubstr("AE_"))) << "an exception of the interpreter";
        return output;
    }
    static std::string contents(const std::string& file) {
        std::ifstream stream(file);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    std::filesystem::path folder_;
    mutable int exit_status_ = 0;
};

TEST_F(AcpiToolTest, EveryTableDisassemblesWithoutComplaint) {
    for (const std::string name : {"dsdt", "facp", "apic", "facs", "rsdt", "xsdt"}) {
        const std::string output = run(fmt::format("{} -d {}.aml", EXO_IASL, name));
        EXPECT_EQ(exit_status_, 0) << output;
        const std::string listing = contents(path(name + ".dsl"));
        ASSERT_FALSE(listing.empty()) << output;
        for (const std::string& text : {output, listing}) {
            EXPECT_THAT(text, Not(HasSubstr("rror"))) << name;
            EXPECT_THAT(text, Not(HasSubstr("arning"))) << name;
            EXPECT_THAT(text, Not(HasSubstr("ncorrect"))) << name;
            EXPECT_THAT(text, Not(HasSubstr("nvalid"))) << name;
        }
    }
}

TEST_F(AcpiToolTest, DsdtCompilesAgainFromItsDisassembly) {
    run(fmt::format("{} -d dsdt.aml", EXO_IASL));
    const std::string output = run(fmt::format("{} -p again dsdt.dsl", EXO_IASL));
    EXPECT_EQ(exit_status_, 0) << output;
    EXPECT_THAT(output, HasSubstr("0 Errors, 0 Warnings"));
}

/// What ACPICA makes of the DSDT, as an operating system would.
TEST_F(AcpiToolTest, DsdtEvaluatesToTheLayout) {
    const std::string output = execute(
        "evaluate \\_S5; resources \\_SB.PCI0; resources \\_SB.PCI0.ISA.COM1; "
        "resources \\_SB.PCI0.ISA.SYSR");
    EXPECT_THAT(output, HasSubstr("[Package] Contains 4 Elements:\n    [Integer] = 0000000000000000\n"));
    const auto expect_range = [&output](const AddressRange& range, unsigned digits) {
        EXPECT_THAT(output, HasSubstr(fmt::format("Address Minimum : {:0{}X}\n", range.start, digits)));
        EXPECT_THAT(output, HasSubstr(fmt::format("Address Maximum : {:0{}X}\n", range.end() - 1, digits)));
        EXPECT_THAT(output, HasSubstr(fmt::format("Address Length : {:0{}X}\n", range.size, digits)));
    };
    expect_range(layout::pci_io_window, 4);
    expect_range({layout::power_management_port, PowerManagementRegisters::size}, 4);
    expect_range(layout::pci_memory32_window, 8);
    expect_range(windows_.memory64, 16);
    for (const unsigned port : {layout::serial_port, layout::system_control_port, layout::debug_port,
                                layout::exit_port, layout::cpu_hotplug_port, layout::power_management_port})
        EXPECT_THAT(output, HasSubstr(fmt::format("Address Minimum : {:04X}\n", port)));
    EXPECT_THAT(output, HasSubstr(fmt::format("Address : {:08X}\n", layout::kvm_reserved.start)));
    EXPECT_THAT(output, HasSubstr(fmt::format("Address Length : {:08X}\n", layout::kvm_reserved.size)));
    const auto expect_route = [&output](unsigned device, unsigned pin, unsigned input) {
        const unsigned index = 4 * device + pin;
        EXPECT_THAT(output,
                    testing::ContainsRegex(fmt::format("\\[{:02X}\\] PCI IRQ Routing Table Package\n"
                                                       " *Address : 00000000{:04X}FFFF\n *Pin : {:08X}\n"
                                                       " *Source : .*\n *Source Index : {:08X}\n",
                                                       index, device, pin, input)));
    };
    expect_route(0, 0, layout::pci_irq_base);
    expect_route(0, 3, layout::pci_irq_base + 3);
    expect_route(1, 0, layout::pci_irq_base + 1);
    expect_route(31, 3, layout::pci_irq_base + 2);
}

TEST_F(AcpiToolTest, WithoutA64BitWindowThereIsNone) {
    windows_.memory64 = {};
    loaded_ = Loaded(build({.cpus = 1, .windows = windows_}));
    save("dsdt", fadt().dsdt);
    const std::string output = execute("resources \\_SB.PCI0");
    EXPECT_THAT(output, HasSubstr("Address Minimum : 80000000"));
    EXPECT_THAT(output, Not(HasSubstr("64-Bit QWORD")));
}

}  // namespace
}  // namespace exo::vmm::acpi
