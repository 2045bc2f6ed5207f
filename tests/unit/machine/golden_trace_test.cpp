#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/machine/fakes.h"
#include "tests/unit/machine/trace_replay.h"
#include "vmm/machine/pci_device.h"

namespace exo::vmm {
namespace {

using test::read_value;
using test::TraceReplay;
using test::write_value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A machine whose accesses are recorded; the test plays the firmware.
class Recorded {
  public:
    Recorded() : path_(std::filesystem::path(testing::TempDir()) / fmt::format("trace-{}", getpid())) {
        platform_ = *Platform::create(config_, {.memory = ram_.memory(),
                                                .clock = clock_,
                                                .events = events_,
                                                .serial_output = output_,
                                                .serial_interrupt = line_,
                                                .sci = line_,
                                                .debug_output = {}});
        platform_->pci().add({layout::first_device_slot}, disk_);
        const unsigned vectors[] = {2};
        trace_ = *IoTrace::create(path_.string(), config_, vectors);
        trace_->attach(*platform_);
    }
    ~Recorded() { std::filesystem::remove(path_); }

    void out(std::uint16_t port, std::size_t size, std::uint64_t value) {
        write_value(platform_->ports(), port, size, value);
    }
    std::uint64_t in(std::uint16_t port, std::size_t size) {
        return read_value(platform_->ports(), port, size);
    }
    void dma(std::uint32_t control, std::uint32_t length, std::uint64_t address) {
        const std::uint64_t at = 0x8000;
        ram_.memory().write(GuestAddress{at}, std::byteswap(control));
        ram_.memory().write(GuestAddress{at + 4}, std::byteswap(length));
        ram_.memory().write(GuestAddress{at + 8}, std::byteswap(address));
        out(layout::fw_cfg_dma_port, 4, 0);
        out(layout::fw_cfg_dma_port + 4, 4, std::byteswap(static_cast<std::uint32_t>(at)));
    }
    IoBus& memory() { return platform_->memory(); }
    test::FakeClock& clock() { return clock_; }

    /// What has been recorded, from the first access on, or the whole file.
    std::string text(bool whole = false) {
        EXPECT_TRUE(trace_->finish());
        std::ifstream file(path_);
        std::string all{std::istreambuf_iterator<char>(file), {}};
        return whole ? all : all.substr(all.find("\nbegin\n") + 6);
    }

  private:
    std::filesystem::path path_;
    test::FakeClock clock_;
    test::FakeRam ram_{1 << 20};
    test::RecordedEvents events_;
    test::RecordedLine line_;
    test::TextOutput output_;
    test::RecordedHandler registers_;
    std::vector<std::byte> flash_ = std::vector<std::byte>(0x2000);
    std::vector<std::byte> kernel_ = test::bytes_of({'M', 'Z', 1, 2, 3});
    layout::RamSplit split_ = layout::split_ram(1 << 20);
    layout::PciWindows windows_ = layout::pci_windows(split_, 40);
    PlatformConfig config_{.cpus = 1,
                           .ram = split_,
                           .windows = windows_,
                           .acpi = acpi::build({.cpus = 1, .windows = windows_}),
                           .flash_variables = std::span(flash_).first(0x1000),
                           .flash_code = std::span(flash_).last(0x1000),
                           .kernel = kernel_,
                           .initrd = {},
                           .command_line = "-- sum 0"};
    PciDevice disk_{fusion_blk_spec("disk", registers_, 2)};
    std::unique_ptr<Platform> platform_;
    std::unique_ptr<IoTrace> trace_;
};

constexpr std::uint32_t op_read = 2;
constexpr std::uint32_t op_select_read = 8 | op_read;

/// A boot in small: PCI and its BARs, power management, clock, fw_cfg both ways, serial, flash, hand-over.
void play(Recorded& machine) {
    machine.out(0xcf8, 4, 0x8000'0000);
    machine.in(0xcfe, 2);
    machine.out(0xcf8, 4, 0x8000'1010);
    machine.out(0xcfc, 4, 0xffff'ffff);
    machine.in(0xcfc, 4);
    machine.out(0xcfc, 4, 0x8000'0000);
    machine.out(0xcf8, 4, 0x8000'1004);
    machine.out(0xcfc, 2, 2);
    machine.in(0xcfc, 2);
    write_value(machine.memory(), 0x8000'2000, 4, 0xfee0'0000);
    read_value(machine.memory(), 0x8000'2000, 8);
    machine.out(0xcf8, 4, 0x8000'0b40);
    machine.out(0xcfc, 4, 0xb001);
    machine.out(0xcf8, 4, 0x8000'0b80);
    machine.out(0xcfc, 1, 1);
    machine.in(0xb008, 4);
    machine.in(0xb004, 2);
    machine.out(0x70, 1, 0x0d);
    machine.in(0x71, 1);
    machine.out(0x70, 1, 0x00);
    machine.clock().pass(std::chrono::seconds(7));
    machine.in(0x71, 1);
    machine.out(0x510, 2, 0);
    for (int i = 0; i < 5; ++i) machine.in(0x511, 1);
    machine.dma(0x19u << 16 | op_select_read, 4, 0x9000);
    machine.dma(op_read, 64, 0x9000);
    machine.dma(0x11u << 16 | op_select_read, 5, 0x9000);
    machine.dma(0x11u << 16 | op_select_read, 5, 0xffff'ffff);
    for (const char letter : std::string_view("hi")) {
        machine.in(0x3fd, 1);
        machine.out(0x3f8, 1, static_cast<std::uint8_t>(letter));
    }
    write_value(machine.memory(), 0xffff'e000, 1, 0x50);
    machine.out(0x402, 1, 'D');
}

TEST(IoTrace, EqualAccessesShareALine) {
    Recorded machine;
    machine.out(0x510, 2, 0);
    for (int i = 0; i < 4; ++i) machine.in(0x511, 1);
    for (int i = 0; i < 3; ++i) machine.in(0x80, 1);
    write_value(machine.memory(), 0xffff'e000, 1, 0x50);
    EXPECT_EQ(machine.text(), "\npw 510 2 0\npr 511 1 51 45 4d 55\npr 80 1 ff*3\nmw ffffe000 1 50\n");
}

TEST(IoTrace, ShowsDmaWithItsResult) {
    Recorded machine;
    machine.dma(op_select_read, 4, 0x9000);
    machine.dma(0x11u << 16 | op_select_read, 4, 0xffff'ffff);
    EXPECT_THAT(machine.text(), HasSubstr("\npw 514 4 0\nd a 4 9000 0:0 51454d55\npw 518 4 800000\n"));
    EXPECT_THAT(machine.text(), HasSubstr("\nd 11000a 4 ffffffff 11:0 failed\n"));
}

TEST(IoTrace, LeavesOutThePmTimer) {
    Recorded machine;
    machine.out(0xcf8, 4, 0x8000'0b40);
    machine.out(0xcfc, 4, 0xb001);
    machine.out(0xcf8, 4, 0x8000'0b80);
    machine.out(0xcfc, 1, 1);
    machine.in(0xb008, 4);
    machine.in(0xb000, 2);
    EXPECT_THAT(machine.text(), HasSubstr("pr b000 2 0\n"));
    EXPECT_THAT(machine.text(), testing::Not(HasSubstr("b008")));
}

TEST(IoTrace, SaysWhyAFileCannotBeWritten) {
    const auto trace = IoTrace::create("/nonexistent/trace", {}, {});
    ASSERT_FALSE(trace);
    EXPECT_THAT(trace.error().message(), HasSubstr("/nonexistent/trace: No such file"));
    const auto full = IoTrace::create("/dev/full", {}, {});
    ASSERT_TRUE(full);
    EXPECT_FALSE((*full)->finish());
}

TEST(TraceReplay, FreshModelsAnswerAsRecorded) {
    Recorded machine;
    play(machine);
    std::istringstream trace(machine.text(true));
    const auto outcome = TraceReplay::run(trace);
    EXPECT_EQ(outcome.trouble, "");
    EXPECT_THAT(outcome.differences, IsEmpty());
    EXPECT_EQ(outcome.compared, 16u);
    EXPECT_EQ(outcome.masked, 2u) << "the clock's second and the kernel";
    EXPECT_EQ(outcome.serial_text, "hi");
    EXPECT_EQ(outcome.debug_text, "D");
}

TEST(TraceReplay, EndsWhereTheFirmwareHandsOver) {
    Recorded machine;
    machine.out(layout::phase_port, 1, 1);
    machine.in(0x3fd, 1);
    std::string text = machine.text(true);
    text.replace(text.rfind(" 60"), 3, " 61");
    std::istringstream trace(text);
    const auto outcome = TraceReplay::run(trace);
    EXPECT_THAT(outcome.events.phases, ElementsAre(platform::BootPhase::loader_entry));
    EXPECT_THAT(outcome.differences, IsEmpty());
}

/// Every value read in the small boot, changed one at a time, must be noticed, unless it is masked.
TEST(TraceReplay, NoticesEveryChangedValue) {
    Recorded machine;
    play(machine);
    const std::string text = machine.text(true);
    unsigned changed = 0;
    unsigned noticed = 0;
    for (std::size_t at = text.find("\nbegin\n"); (at = text.find('\n', at + 1)) != std::string::npos;) {
        const std::string_view line = std::string_view(text).substr(at + 1, text.find('\n', at + 1) - at - 1);
        const bool delivers = line.starts_with("d ") || (line.size() > 1 && line[1] == 'r');
        if (!delivers) continue;
        std::string damaged = text;
        char& last = damaged[at + line.size()];
        last = last == '0' ? '1' : '0';
        std::istringstream trace(damaged);
        const auto outcome = TraceReplay::run(trace);
        ++changed;
        if (!outcome.differences.empty() || !outcome.trouble.empty()) ++noticed;
    }
    EXPECT_EQ(changed, noticed + 2);
    EXPECT_GT(noticed, 10u);
}

TEST(TraceReplay, RefusesWhatIsNoTrace) {
    const auto trouble = [](const std::string& text) {
        std::istringstream trace(text);
        return TraceReplay::run(trace).trouble;
    };
    const std::string header = std::string(IoTrace::first_line) + "\ncpus 1\nram_low 1048576\n";
    EXPECT_NE(trouble(""), "");
    EXPECT_NE(trouble("exo-io-trace 2\nbegin\n"), "");
    EXPECT_NE(trouble(header), "") << "no begin";
    EXPECT_EQ(trouble(header + "begin\n"), "");
    for (const std::string line : {"pr", "pr zz 1 0", "pr 80 9 0", "pr 80 1 xyz", "d a 4", "x 80 1 0"})
        EXPECT_THAT(trouble(header + "begin\n" + line + "\n"), HasSubstr("line 1")) << line;
}

/// Recorded boots of stock OVMF (data/README.md): how many values each must have compared, at least.
struct GoldenTrace {
    const char* file;
    std::uint64_t compared;
};

class Golden : public testing::TestWithParam<GoldenTrace> {};

TEST_P(Golden, ModelsAnswerAStockOvmfAsRecorded) {
    std::ifstream trace(std::string(EXO_TRACES) + GetParam().file);
    ASSERT_TRUE(trace) << "cannot read the trace";
    const auto outcome = TraceReplay::run(trace);
    EXPECT_EQ(outcome.trouble, "");
    EXPECT_THAT(outcome.differences, IsEmpty());
    EXPECT_GE(outcome.compared, GetParam().compared);
    EXPECT_THAT(outcome.events.phases, ElementsAre(platform::BootPhase::loader_entry))
        << "not played to its end";
    EXPECT_EQ(outcome.events.resets + outcome.events.power_offs, 0);
}

INSTANTIATE_TEST_SUITE_P(Traces, Golden,
                         testing::Values(GoldenTrace{"ovmf_4m_1cpu_256m.trace", 3000},
                                         GoldenTrace{"ovmf_2m_2cpu_3g.trace", 3000}),
                         [](const auto& tested) {
                             const std::string name = tested.param.file;
                             return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace exo::vmm
