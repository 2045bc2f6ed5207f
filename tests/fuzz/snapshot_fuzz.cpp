#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/unit/machine/fakes.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/snapshot_file.h"

/// A snapshot's file as it may come from anywhere: header, facts, and the state of the platform's models,
/// which then answer a guest. Input: one byte that says which of them the rest is.
namespace exo::vmm {
namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

void parse_file(std::span<const std::byte> bytes) {
    const auto header = SnapshotFile::parse_header(bytes, bytes.size());
    if (!header) return;
    const std::uint64_t end = sizeof(*header) + header->facts_size + header->state_size;
    check(end <= header->memory_offset && header->memory_offset + header->memory_size == bytes.size());
    const auto inside = bytes.subspan(sizeof(*header), end - sizeof(*header));
    static_cast<void>(SnapshotFile::is_whole(*header, inside));
    static_cast<void>(SnapshotFile::parse_facts(inside.first(header->facts_size)));
}

struct Machine {
    test::FakeClock clock;
    test::FakeRam ram{1 << 16};
    test::RecordedEvents events;
    test::RecordedLine serial_line;
    test::RecordedLine sci;
    test::TextOutput output;
    layout::RamSplit split = layout::split_ram(layout::gib);
    PlatformConfig config{.cpus = 1,
                          .ram = split,
                          .windows = layout::pci_windows(split, 40),
                          .acpi = {},
                          .flash_variables = {},
                          .flash_code = {},
                          .kernel = {},
                          .initrd = {},
                          .command_line = {}};
    std::unique_ptr<Platform> platform = *Platform::create(config, {.memory = ram.memory(),
                                                                    .clock = clock,
                                                                    .events = events,
                                                                    .serial_output = output,
                                                                    .serial_interrupt = serial_line,
                                                                    .sci = sci,
                                                                    .debug_output = {}});
};

void read_all_ports(Machine& machine) {
    std::byte data[4]{};
    for (std::uint64_t port = 0; port < 0x1'0000; port += 1 + port / 0x1000 * 64)
        machine.platform->ports().read(port, std::span(data).first(1));
}

/// A state that was saved, with some of its bytes replaced: place and value, two and one byte of input each.
void load_platform(std::span<const std::byte> input) {
    static const std::vector<std::byte> good = [] {
        StateArchive archive;
        Machine().platform->exchange_state(archive);
        return archive.saved();
    }();
    std::vector<std::byte> state = good;
    for (; input.size() >= 3; input = input.subspan(3)) {
        std::uint16_t at = 0;
        std::memcpy(&at, input.data(), sizeof(at));
        state[at % state.size()] = input[2];
    }
    Machine machine;
    StateArchive archive(state);
    machine.platform->exchange_state(archive);
    if (!archive.finish()) return;
    machine.clock.pass(std::chrono::seconds(1));
    read_all_ports(machine);
    StateArchive again;
    machine.platform->exchange_state(again);
    check(again.finish().has_value());
}

}  // namespace
}  // namespace exo::vmm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t length) {
    if (length == 0) return 0;
    const auto rest = std::as_bytes(std::span(data + 1, length - 1));
    data[0] % 2 == 0 ? exo::vmm::parse_file(rest) : exo::vmm::load_platform(rest);
    return 0;
}
