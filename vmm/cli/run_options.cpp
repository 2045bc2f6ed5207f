#include "vmm/cli/run_options.h"

#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

#include "vmm/cli/size.h"
#include "vmm/machine/layout.h"

namespace exo::vmm {
namespace {

constexpr unsigned max_cpus = 64;
constexpr char see_help[] = "See vmm run --help.";

/// CLI11's own usage line knows nothing of what follows "--".
class RunFormatter final : public CLI::Formatter {
  public:
    std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
        return "Usage: vmm run [--kernel FILE] [OPTIONS] [-- GUEST COMMAND...]\n";
    }
};

Result<LogOptions> parse_log(const RunText& text) {
    constexpr std::pair<std::string_view, LogLevel> levels[] = {{"debug", LogLevel::debug},
                                                                {"info", LogLevel::info},
                                                                {"warning", LogLevel::warning},
                                                                {"error", LogLevel::error}};
    const auto level = std::ranges::find(levels, std::string_view(text.log_level),
                                         [](const auto& pair) { return pair.first; });
    if (level == std::end(levels))
        return fail("cannot use --log-level", fmt::format("there is no level '{}'", text.log_level),
                    see_help);
    if (text.log_format != "text" && text.log_format != "json")
        return fail("cannot use --log-format", fmt::format("there is no format '{}'", text.log_format),
                    see_help);
    return LogOptions{.level = level->second,
                      .format = text.log_format == "json" ? LogFormat::json : LogFormat::text,
                      .file = text.log_file};
}

Result<unsigned> parse_cpus(const std::string& text) {
    unsigned cpus = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpus);
    if (error != std::errc{} || end != text.data() + text.size() || cpus < 1 || cpus > max_cpus)
        return fail(fmt::format("cannot give the guest '{}' CPUs", text),
                    fmt::format("the number of vCPUs is 1 to {}", max_cpus), "Give another --cpus.");
    return cpus;
}

Result<std::uint64_t> parse_memory(const std::string& text) {
    const auto bytes = parse_size(text);
    if (!bytes) return bytes;
    const std::string what = fmt::format("cannot give the guest {} of memory", format_size(*bytes));
    if (*bytes < layout::min_ram)
        return fail(what, fmt::format("the firmware needs {} to start", format_size(layout::min_ram)),
                    "Give a larger --memory; the Exo-OS guest wants 64M or more.");
    if (*bytes % layout::mib != 0) return fail(what, "memory comes in whole MiB", "Give another --memory.");
    const std::uint64_t host = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES))) *
                               static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    if (*bytes > host)
        return fail(what, fmt::format("this host has {} MiB", host / layout::mib),
                    "Give a smaller --memory.");
    return bytes;
}

Result<BootMethod> parse_boot(const std::string& how) {
    if (how == "uefi") return BootMethod::uefi;
    if (how == "direct") return BootMethod::direct;
    return fail(fmt::format("cannot boot the guest by '{}'", how), "there is no such way", see_help);
}

/// Something that the firmware can start, and nothing that would be ignored.
Result<void> check_bootable(const RunOptions& options) {
    const bool has_virtio = std::ranges::any_of(
        options.disks, [](const DiskOption& disk) { return disk.kind == DiskKind::virtio; });
    if (options.kernel.empty() && (!has_virtio || options.boot == BootMethod::direct))
        return fail("there is nothing to boot", "neither --kernel nor a disk that the firmware can read",
                    "Give --kernel exo.efi, or --disk FILE,type=virtio with an EFI system partition.");
    const bool hands_over =
        !options.initrd.empty() || !options.append.empty() || !options.guest_command.empty();
    if (options.kernel.empty() && hands_over)
        return fail("cannot hand the guest a command line or an initial RAM disk", "--kernel is missing",
                    "Give --kernel, or leave them to the boot loader on the disk.");
    if (!options.trace_io.empty() && !options.restore.empty())
        return fail("cannot record the accesses of a restored machine",
                    "a trace begins with the machine's start", "Leave out --restore or --trace-io.");
    if (!options.trace_io.empty() && has_virtio)
        return fail("cannot record the accesses of a machine with virtio disks",
                    "a trace is replayed with fusion disks", "Leave out type=virtio or --trace-io.");
    return {};
}

/// Nothing that would be ignored.
Result<void> check_firmware_options(const RunOptions& options) {
    const bool for_firmware = options.firmware != "auto" || !options.variables.empty();
    if (options.boot == BootMethod::direct && for_firmware)
        return fail("cannot use --firmware or --variables",
                    "--boot direct starts the kernel without firmware", "Leave out one or the other.");
    if (!options.variables.empty() && !options.trace_io.empty())
        return fail("cannot record the accesses of a machine that keeps its variables",
                    "a trace is replayed with read-only variables", "Leave out --variables or --trace-io.");
    return {};
}

}  // namespace

CLI::App* add_run(CLI::App& app, RunText& text) {
    CLI::App* run = app.add_subcommand("run", "Boot a guest, through stock OVMF or directly");
    run->formatter(std::make_shared<RunFormatter>());
    run->footer(
        "What follows -- is the command that the guest runs; its status becomes the status of vmm. Without "
        "one\n"
        "the guest starts its shell. On a terminal, Ctrl-A x ends the machine and Ctrl-A h tells the other "
        "keys.\n\n"
        "Status: 0-124 the guest's own, 125 nothing ran, 126 the guest kernel panicked, 127 the guest died\n"
        "otherwise, 128 ended by Ctrl-A x, 128 + N ended by signal N.");
    run->add_option("--kernel", text.kernel,
                    "EFI application that the firmware starts: exo.efi, or a distribution's vmlinuz. Without "
                    "it the firmware boots what it finds on the disks")
        ->type_name("FILE");
    run->add_option("--initrd", text.initrd, "Initial RAM disk for a Linux kernel")->type_name("FILE");
    run->add_option(
           "--append", text.append,
           "Options of the kernel, such as scheduler=round-robin for exo.efi, root=/dev/vda1 for Linux")
        ->type_name("OPTIONS");
    run->add_option("--firmware", text.firmware,
                    "'auto', or a code file of OVMF; its VARS file lies beside it")
        ->type_name("auto|FILE");
    run->add_option(
           "--boot", text.boot,
           "'uefi': through the firmware; 'direct': without it, at once: exo.efi, an ELF kernel with a "
           "PVH entry, or a Linux bzImage (uefi)")
        ->type_name("uefi|direct");
    run->add_option(
           "--variables", text.variables,
           "Keep the guest's UEFI variables in this file, made when it is not there; without it they "
           "last until the guest restarts")
        ->type_name("FILE");
    run->add_option("--cpus", text.cpus, "vCPUs, 1 to 64 (1)")->type_name("N");
    run->add_option("--memory", text.memory, "Guest memory, such as 512M or 4G (256M)")->type_name("SIZE");
    run->add_option(
           "--disk", text.disks,
           "A disk image, a block device, or an NBD export (nbd://HOST/NAME, nbd+unix:///NAME?socket=FILE); "
           "may "
           "be given again. It is a fusion-blk device, or with "
           "'type=virtio' a virtio one, which firmware and Linux know. 'readonly' refuses writes, 'direct' "
           "goes past the host's page cache. Its I/O thread polls for up to 'poll' microseconds before it "
           "sleeps (what suits the host; 0: never). 'queues': up to 16 (one a vCPU). 'iops' and 'bytes': "
           "what the guest gets a second, no more")
        ->type_name("FILE[,type=virtio][,readonly][,direct][,poll=US][,queues=N][,iops=N][,bytes=SIZE]")
        ->expected(1)
        ->take_all();
    run->add_option("--metrics", text.metrics, "Write exits, I/O counts and boot times there at the end")
        ->type_name("FILE.json");
    run->add_option(
           "--snapshot", text.snapshot,
           "Write a snapshot of the guest there whenever SIGUSR1 or Ctrl-A s asks for one; the guest goes on")
        ->type_name("FILE");
    run->add_option(
           "--restore", text.restore,
           "Go on from this snapshot, with the other options of the run that made it and its disks as they "
           "were then")
        ->type_name("FILE");
    run->add_option(
           "--firmware-cache", text.firmware_cache,
           "Where machines whose firmware has done its work are kept, so that the next boot of such a "
           "machine begins there; 'off' boots as if for the first time (auto: the user's cache folder)")
        ->type_name("auto|off|DIR");
    run->add_option(
           "--seccomp", text.seccomp,
           "'off' lets vmm make system calls that it has no use for: for a C library that makes calls which "
           "vmm does not know of (on)")
        ->type_name("on|off");
    run->add_option("--trace-io", text.trace_io, "Record the guest's device accesses there (slow)")
        ->type_name("FILE");
    run->add_option("--log-level", text.log_level, "debug, info, warning or error (warning)")
        ->type_name("LEVEL");
    run->add_option("--log-format", text.log_format, "text or json, an object a line (text)")
        ->type_name("FORMAT");
    run->add_option("--log-file", text.log_file,
                    "Append the log there; warnings still show on standard error")
        ->type_name("FILE");
    run->add_option("--config", text.config,
                    "TOML file with options as keys (cpus = 2); those on the command line count more")
        ->type_name("FILE.toml");
    return run;
}

Result<RunOptions> understand(const RunText& text, std::vector<std::string> guest_command) {
    RunOptions options;
    options.kernel = text.kernel;
    options.firmware = text.firmware;
    options.variables = text.variables;
    options.metrics = text.metrics;
    options.trace_io = text.trace_io;
    options.snapshot = text.snapshot;
    options.restore = text.restore;
    options.firmware_cache = text.firmware_cache;
    options.guest_command = std::move(guest_command);
    options.initrd = text.initrd;
    options.append = text.append;
    if (text.seccomp != "on" && text.seccomp != "off")
        return fail("cannot use --seccomp", fmt::format("'{}' is neither on nor off", text.seccomp),
                    see_help);
    options.seccomp = text.seccomp == "on";
    const auto log = parse_log(text);
    if (!log) return std::unexpected(log.error());
    options.log = *log;
    const auto boot = parse_boot(text.boot);
    if (!boot) return std::unexpected(boot.error());
    options.boot = *boot;
    if (auto fits = check_firmware_options(options); !fits) return std::unexpected(fits.error());
    const auto cpus = parse_cpus(text.cpus);
    if (!cpus) return std::unexpected(cpus.error());
    options.cpus = *cpus;
    const auto memory = parse_memory(text.memory);
    if (!memory) return std::unexpected(memory.error());
    options.memory = *memory;
    for (const std::string& disk : text.disks) {
        auto parsed = parse_disk(disk);
        if (!parsed) return std::unexpected(parsed.error());
        options.disks.push_back(std::move(*parsed));
    }
    if (auto bootable = check_bootable(options); !bootable) return std::unexpected(bootable.error());
    if (options.disks.size() > layout::disk_slots)
        return fail(fmt::format("cannot give the guest {} disks", options.disks.size()),
                    fmt::format("the PCI bus has {} free slots", unsigned{layout::disk_slots}));
    return options;
}

}  // namespace exo::vmm
