#include "tests/unit/machine/trace_replay.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <array>
#include <bit>
#include <charconv>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "vmm/machine/control_ports.h"
#include "vmm/machine/pci_device.h"

namespace exo::vmm::test {

namespace {

constexpr std::size_t shown_differences = 20;
constexpr std::uint64_t rtc_index_port = layout::rtc_port;
constexpr std::uint64_t rtc_data_port = layout::rtc_port + 1;
constexpr std::uint64_t dma_high_port = layout::fw_cfg_dma_port;
constexpr std::uint64_t dma_low_port = layout::fw_cfg_dma_port + 4;

/// Guest RAM that costs only the pages a test touches.
class SparseRam {
  public:
    explicit SparseRam(std::uint64_t size)
        : size_(size),
          bytes_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                        -1, 0)) {}
    ~SparseRam() {
        if (bytes_ != MAP_FAILED) ::munmap(bytes_, size_);
    }
    SparseRam(const SparseRam&) = delete;
    SparseRam& operator=(const SparseRam&) = delete;

    std::span<std::byte> bytes() {
        return {static_cast<std::byte*>(bytes_), bytes_ == MAP_FAILED ? 0 : static_cast<std::size_t>(size_)};
    }

  private:
    std::uint64_t size_;
    void* bytes_;
};

struct Machine {
    std::map<std::string, std::uint64_t> numbers;
    std::vector<unsigned> disk_vectors;
    std::string command_line;

    std::uint64_t operator[](const std::string& key) const {
        const auto found = numbers.find(key);
        return found == numbers.end() ? 0 : found->second;
    }
};

std::optional<Machine> read_header(std::istream& trace) {
    Machine machine;
    std::string line;
    if (!std::getline(trace, line) || line != IoTrace::first_line) return std::nullopt;
    while (std::getline(trace, line) && line != "begin") {
        const auto space = line.find(' ');
        if (space == std::string::npos) return std::nullopt;
        const std::string key = line.substr(0, space);
        const std::string value = line.substr(space + 1);
        if (key == "command_line")
            machine.command_line = value;
        else if (key == "disk_vectors")
            machine.disk_vectors.push_back(static_cast<unsigned>(std::stoul(value)));
        else
            machine.numbers[key] = std::stoull(value);
    }
    return trace ? std::optional(machine) : std::nullopt;
}

std::optional<std::uint64_t> hex(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// "26 2*3" → 26 2 2 2.
std::vector<std::string> expand(std::istream& words) {
    std::vector<std::string> values;
    for (std::string word; words >> word;) {
        const auto star = word.find('*');
        const std::size_t count = star == std::string::npos ? 1 : std::stoul(word.substr(star + 1));
        values.insert(values.end(), count, word.substr(0, star));
    }
    return values;
}

bool is_time(std::uint64_t rtc_index) {
    constexpr std::array<std::uint64_t, 10> registers{0x00, 0x02, 0x04, 0x06, 0x07,
                                                      0x08, 0x09, 0x32, 0x0a, 0x0c};
    return std::ranges::find(registers, rtc_index & 0x7f) != registers.end();
}

/// One run: the machine of the trace, and where the replay stands.
class Run {
  public:
    Run(const Machine& machine, TraceReplay::Outcome& outcome)
        : machine_(machine),
          outcome_(outcome),
          low_(machine["ram_low"]),
          high_(machine["ram_high"]),
          memory_({{GuestAddress{0}, low_.bytes()}, {layout::high_ram_start, high_.bytes()}}),
          flash_variables_(machine["flash_variables"]),
          flash_code_(machine["flash_code"]),
          kernel_(machine["kernel"]),
          initrd_(machine["initrd"]) {}

    bool build() {
        const layout::RamSplit ram{machine_["ram_low"], machine_["ram_high"]};
        const PlatformConfig config{
            .cpus = static_cast<unsigned>(machine_["cpus"]),
            .ram = ram,
            .windows = {layout::pci_io_window,
                        layout::pci_memory32_window,
                        {machine_["window64_start"], machine_["window64_size"]}},
            .acpi = {.rsdp = std::vector<std::byte>(machine_["acpi_rsdp"]),
                     .tables = std::vector<std::byte>(machine_["acpi_tables"]),
                     .loader = std::vector<std::byte>(machine_["acpi_loader"])},
            .flash_variables = flash_variables_,
            .flash_code = flash_code_,
            .kernel = kernel_,
            .initrd = initrd_,
            .command_line = machine_.command_line,
        };
        auto platform = Platform::create(config, {.memory = memory_,
                                                  .clock = clock_,
                                                  .events = outcome_.events,
                                                  .serial_output = output_,
                                                  .serial_interrupt = line_,
                                                  .sci = line_,
                                                  .debug_output = [this](std::span<const std::byte> bytes) {
                                                      for (const std::byte byte : bytes)
                                                          outcome_.debug_text += std::to_integer<char>(byte);
                                                  }});
        if (!platform) return false;
        platform_ = std::move(*platform);
        for (const unsigned vectors : machine_.disk_vectors) {
            const auto slot = static_cast<std::uint8_t>(layout::first_device_slot + disks_.size());
            disks_.emplace_back(fusion_blk_spec("disk", absent_, vectors));
            platform_->pci().add({slot}, disks_.back());
        }
        platform_->fw_cfg().set_dma_observer(
            [this](const FwCfg::Dma& operation) { dma_done_ = seen(operation); });
        return true;
    }

    /// False when the trace ends here, by its end or by a fault in it.
    bool step(const std::string& line, std::uint64_t number) {
        number_ = number;
        std::istringstream words(line);
        std::string verb;
        words >> verb;
        if (verb == "d") return expect_dma(words);
        std::string address_text;
        std::string size_text;
        words >> address_text >> size_text;
        const auto address = hex(address_text);
        const auto size = hex(size_text);
        if (verb.size() != 2 || !address || !size || *size == 0 || *size > 8) return give_up("is no access");
        IoBus& bus = verb[0] == 'p' ? platform_->ports() : platform_->memory();
        for (const std::string& text : expand(words)) {
            const auto value = hex(text);
            if (!value) return give_up("has a bad value");
            ++outcome_.accesses;
            if (verb[1] == 'r') {
                compare(bus, verb[0] == 'p', *address, *size, *value);
            } else {
                if (verb[0] == 'p') before_port_write(*address, *value);
                write_value(bus, *address, *size, *value);
                if (verb[0] == 'p') after_port_write(*address);
                if (!outcome_.events.phases.empty()) return false;
            }
        }
        return true;
    }

    void finish() { outcome_.serial_text = output_.text; }

  private:
    struct ExpectedDma {
        std::uint32_t control, length;
        std::uint64_t address;
        std::string item;  ///< item:offset
        std::string result;
    };
    struct SeenDma {
        std::string item;
        std::string result;
        bool masked;
    };

    bool give_up(const char* why) {
        outcome_.trouble = fmt::format("line {} {}", number_, why);
        return false;
    }

    void differ(const std::string& what) {
        if (outcome_.differences.size() < shown_differences)
            outcome_.differences.push_back(fmt::format("line {}: {}", number_, what));
    }

    void compare(IoBus& bus, bool port, std::uint64_t address, std::uint64_t size, std::uint64_t expected) {
        const std::uint64_t got = read_value(bus, address, size);
        if (port && address == rtc_data_port && is_time(rtc_index_)) {
            ++outcome_.masked;
            return;
        }
        ++outcome_.compared;
        if (got != expected)
            differ(fmt::format("{} {:x} reads {:x}, recorded {:x}", port ? "port" : "memory", address, got,
                               expected));
    }

    bool expect_dma(std::istream& words) {
        std::string control, length, address, item, result;
        words >> control >> length >> address >> item >> result;
        const auto c = hex(control), l = hex(length), a = hex(address);
        if (!c || !l || !a || result.empty()) return give_up("is no DMA");
        expected_dma_ = {static_cast<std::uint32_t>(*c), static_cast<std::uint32_t>(*l), *a, item, result};
        return true;
    }

    /// The guest put the descriptor into its memory, which no trace of accesses shows.
    void before_port_write(std::uint64_t address, std::uint64_t value) {
        if (address == rtc_index_port) rtc_index_ = value;
        if (address == dma_high_port)
            dma_address_ = std::uint64_t{std::byteswap(static_cast<std::uint32_t>(value))} << 32;
        if (address != dma_low_port) return;
        dma_address_ |= std::byteswap(static_cast<std::uint32_t>(value));
        dma_done_.reset();
        if (!expected_dma_) return;
        memory_.write(GuestAddress{dma_address_}, std::byteswap(expected_dma_->control));
        memory_.write(GuestAddress{dma_address_ + 4}, std::byteswap(expected_dma_->length));
        memory_.write(GuestAddress{dma_address_ + 8}, std::byteswap(expected_dma_->address));
    }

    void after_port_write(std::uint64_t address) {
        if (address != dma_low_port) return;
        dma_address_ = 0;
        const auto expected = std::exchange(expected_dma_, std::nullopt);
        if (expected.has_value() != dma_done_.has_value()) {
            differ(dma_done_ ? "a DMA that was not recorded" : "no DMA");
        } else if (expected) {
            ++(dma_done_->masked ? outcome_.masked : outcome_.compared);
            const bool same_data = dma_done_->masked || dma_done_->result == expected->result;
            if (!same_data || dma_done_->item != expected->item)
                differ(fmt::format("DMA of {} gives {}, recorded {} {}", dma_done_->item, dma_done_->result,
                                   expected->item, expected->result));
        }
    }

    SeenDma seen(const FwCfg::Dma& operation) {
        const bool from_outside =
            operation.selector == FwCfg::kernel_data || operation.selector == FwCfg::initrd_data ||
            operation.selector == FwCfg::command_line_data || is_acpi_file(operation.selector);
        return {fmt::format("{:x}:{:x}", operation.selector, operation.offset), IoTrace::show(operation),
                from_outside && !operation.failed && !operation.data.empty()};
    }

    /// Platform adds e820 first, then the three ACPI files.
    static bool is_acpi_file(std::uint16_t item) {
        return item > FwCfg::first_file && item <= FwCfg::first_file + 3;
    }

    const Machine& machine_;
    TraceReplay::Outcome& outcome_;
    SparseRam low_;
    SparseRam high_;
    GuestMemory memory_;
    std::vector<std::byte> flash_variables_;
    std::vector<std::byte> flash_code_;
    std::vector<std::byte> kernel_;
    std::vector<std::byte> initrd_;
    FakeClock clock_;
    RecordedLine line_;
    TextOutput output_;
    AbsentHardware absent_;
    std::unique_ptr<Platform> platform_;
    std::deque<PciDevice> disks_;

    std::uint64_t number_ = 0;
    std::uint64_t rtc_index_ = 0;
    std::uint64_t dma_address_ = 0;
    std::optional<ExpectedDma> expected_dma_;
    std::optional<SeenDma> dma_done_;
};

}  // namespace

TraceReplay::Outcome TraceReplay::run(std::istream& trace) {
    Outcome outcome;
    const auto machine = read_header(trace);
    if (!machine) {
        outcome.trouble = "this is no I/O trace, or its header is damaged";
        return outcome;
    }
    Run run(*machine, outcome);
    if (!run.build()) {
        outcome.trouble = "the machine of the header cannot be built";
        return outcome;
    }
    std::uint64_t number = 0;
    for (std::string line; std::getline(trace, line);)
        if (++number; !line.empty() && !run.step(line, number)) break;
    run.finish();
    return outcome;
}

}  // namespace exo::vmm::test
