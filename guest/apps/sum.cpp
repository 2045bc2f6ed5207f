#include <optional>

#include "guest/drivers/block/disk_registry.h"
#include "guest/drivers/block/sequential_reader.h"
#include "guest/kernel/command.h"
#include "guest/kernel/json.h"
#include "guest/kernel/services.h"
#include "guest/kernel/sha256.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{
    "sum", "[--json] [--quiet | --progress] [--wait MODE] [disk]", "print the SHA-256 digest of a whole disk",
    run,
    "The disk is named as `disks` names it, or by its number; without one it is the first disk of data. The\n"
    "line is that of sha256sum. Progress is shown when the command was typed at the shell, or with\n"
    "--progress. MODE is how to wait for the disk this time: interrupt, polling, hybrid or batch.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

std::uint64_t per_second(std::uint64_t bytes, std::uint64_t ns) {
    // By way of KiB and microseconds: exact enough, and without overflow up to 16 PiB.
    constexpr std::uint64_t us_per_s = ns_per_s / ns_per_us;
    return bytes / 1024 * us_per_s / (ns / ns_per_us + 1) * 1024;
}

/// A line on the terminal that is written over again and again, and removed in the end.
class Progress {
  public:
    Progress(CommandConsole& console, bool wanted, std::uint64_t total)
        : console_(console),
          wanted_(wanted),
          total_(total),
          start_ns_(services().time.now_ns()),
          last_ns_(start_ns_) {}
    ~Progress() {
        if (shown_) console_.write("\r\x1b[K");
    }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void update(std::uint64_t done) {
        if (!wanted_) return;
        const std::uint64_t now = services().time.now_ns();
        if (now - last_ns_ < ns_per_s / 4) return;
        last_ns_ = now;
        shown_ = true;
        format(console_, "\r{:>3} %  {} of {}, {}/s\x1b[K", done / (total_ / 100 + 1), Bytes{done},
               Bytes{total_}, Bytes{per_second(done, now - start_ns_)});
    }

  private:
    CommandConsole& console_;
    bool wanted_;
    std::uint64_t total_;
    std::uint64_t start_ns_;
    std::uint64_t last_ns_;
    bool shown_ = false;
};

/// Puts the disk's mode back.
class ModeGuard {
  public:
    explicit ModeGuard(BlockDevice& disk) : disk_(disk), before_(disk.mode()) {}
    ~ModeGuard() { disk_.set_mode(before_); }
    ModeGuard(const ModeGuard&) = delete;
    ModeGuard& operator=(const ModeGuard&) = delete;

  private:
    BlockDevice& disk_;
    std::optional<IoMode> before_;
};

std::optional<Sha256::Digest> digest_of(Disk& disk, bool progress_wanted, CommandConsole& console) {
    BlockDevice& device = *disk.device;
    auto reader = SequentialReader::create(device, services().dma);
    if (!reader) {
        format(console, "sum: {}: {}: {}\n", disk.name(), reader.error().what, reader.error().why);
        return std::nullopt;
    }
    Progress progress(console, progress_wanted, device.info().sectors * sector_size);
    Sha256 sha;
    std::string_view problem;
    for (;;) {
        const auto piece = (*reader)->next();
        if (piece && piece->empty()) return sha.finish();
        if (!piece) problem = piece.error().why;
        if (console.interrupted()) problem = "interrupted";
        if (!problem.empty()) break;
        sha.update(*piece);
        progress.update((*reader)->position() * sector_size);
    }
    format(console, "{}sum: {}: stopped at sector {}: {}\n", progress_wanted ? "\r\x1b[K" : "", disk.name(),
           (*reader)->position(), problem);
    return std::nullopt;
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    bool quiet = false;
    bool progress = false;
    std::string_view wait;
    std::string_view name;
    const CommandOption known[] = {
        {"--json", &json}, {"--quiet", &quiet}, {"--progress", &progress}, {"--wait", nullptr, &wait}};
    std::string_view* const rest[] = {&name};
    if (!parse_arguments(arguments, known, rest, command, console)) return status::bad_usage;
    const auto mode = io_mode_named(wait);
    if (!wait.empty() && !mode)
        return bad_usage(console, command, "--wait is interrupt, polling, hybrid or batch, not \"{}\"", wait);

    Disk* const disk = name.empty() ? disk_registry().first() : disk_registry().find(name);
    if (disk == nullptr) {
        if (name.empty())
            console.write("sum: there is no disk of data; give the machine one\n");
        else
            format(console, "sum: there is no disk \"{}\"; `disks` lists them\n", name);
        return status::failure;
    }
    const ModeGuard guard(*disk->device);
    if (mode && !disk->device->set_mode(mode)) {
        format(console, "sum: {}: {} is not a mode of this disk, or drivers are not adaptive here\n",
               disk->name(), wait);
        return status::failure;
    }
    const std::uint64_t start = services().time.now_ns();
    const auto digest = digest_of(*disk, (console.interactive() || progress) && !quiet && !json, console);
    if (!digest) return status::failure;
    if (!json) {
        format(console, "{}  {}\n", *digest, disk->name());
        return status::ok;
    }
    const std::uint64_t duration = services().time.now_ns() - start;
    const std::uint64_t bytes = disk->device->info().sectors * sector_size;
    FixedText<64> hex;
    format(hex, "{}", *digest);
    JsonLine(console)
        .text("sha256", hex.view())
        .text("disk", disk->name())
        .number("bytes", bytes)
        .number("us", duration / ns_per_us)
        .number("bytes_per_second", per_second(bytes, duration));
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
