#include "vmm/machine/io_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "vmm/machine/io_value.h"

namespace exo::vmm {

namespace {

/// FNV-1a, 64 bits.
std::uint64_t digest(std::span<const std::byte> data) {
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
    for (const std::byte byte : data) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100'0000'01b3;
    return hash;
}

}  // namespace

Result<std::unique_ptr<IoTrace>> IoTrace::create(const std::string& path, const PlatformConfig& config,
                                                 std::span<const unsigned> disk_vectors) {
    std::FILE* file = std::fopen(path.c_str(), "we");
    if (!file) return fail_errno("cannot record I/O to " + path, errno);
    std::unique_ptr<IoTrace> trace(new IoTrace(path, file));
    trace->write_header(config, disk_vectors);
    return trace;
}

void IoTrace::write_header(const PlatformConfig& config, std::span<const unsigned> disk_vectors) {
    std::string text = fmt::format("{}\n", first_line);
    const auto add = [&text](const char* key, std::uint64_t value) {
        text += fmt::format("{} {}\n", key, value);
    };
    add("cpus", config.cpus);
    add("ram_low", config.ram.low);
    add("ram_high", config.ram.high);
    add("window64_start", config.windows.memory64.start);
    add("window64_size", config.windows.memory64.size);
    add("flash_variables", config.flash_variables.size());
    add("flash_code", config.flash_code.size());
    add("kernel", config.kernel.size());
    add("initrd", config.initrd.size());
    add("acpi_rsdp", config.acpi.rsdp.size());
    add("acpi_tables", config.acpi.tables.size());
    add("acpi_loader", config.acpi.loader.size());
    for (const unsigned vectors : disk_vectors) add("disk_vectors", vectors);
    text += fmt::format("command_line {}\nbegin", config.command_line);
    std::fputs(text.c_str(), file_.get());
}

void IoTrace::attach(Platform& platform) {
    platform.ports().set_observer(&ports_);
    platform.memory().set_observer(&memory_);
    platform.fw_cfg().set_dma_observer([this](const FwCfg::Dma& operation) { record_dma(operation); });
}

Result<void> IoTrace::finish() {
    const std::lock_guard lock(mutex_);
    put_value();
    std::fputc('\n', file_.get());
    if (std::fflush(file_.get()) != 0 || std::ferror(file_.get()))
        return fail_errno("the I/O trace " + path_ + " is incomplete", errno);
    return {};
}

std::string IoTrace::show(const FwCfg::Dma& operation) {
    if (operation.failed) return "failed";
    if (operation.data.empty()) return "-";
    if (operation.data.size() > shown_bytes) return fmt::format("#{:x}", digest(operation.data));
    std::string text;
    for (const std::byte byte : operation.data)
        text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return text;
}

void IoTrace::record(char space, IoDirection direction, std::uint64_t address,
                     std::span<const std::byte> data) {
    const char verb = direction == IoDirection::read ? 'r' : 'w';
    const std::lock_guard lock(mutex_);
    gather(fmt::format("{}{} {:x} {}", space, verb, address, data.size()),
           fmt::format("{:x}", value_of(data)));
}

void IoTrace::record_dma(const FwCfg::Dma& operation) {
    const std::lock_guard lock(mutex_);
    gather(fmt::format("d {:x} {:x} {:x} {:x}:{:x}", operation.control, operation.length, operation.address,
                       operation.selector, operation.offset),
           show(operation));
}

void IoTrace::gather(const std::string& access, const std::string& value) {
    if (access == access_ && value == value_) {
        ++repeats_;
        return;
    }
    put_value();
    if (access != access_) {
        std::fprintf(file_.get(), "\n%s", access.c_str());
        access_ = access;
    }
    value_ = value;
    repeats_ = 1;
}

void IoTrace::put_value() {
    if (repeats_ == 0) return;
    std::fprintf(file_.get(), " %s", value_.c_str());
    if (repeats_ > 1) std::fprintf(file_.get(), "*%llu", static_cast<unsigned long long>(repeats_));
    repeats_ = 0;
}

}  // namespace exo::vmm
