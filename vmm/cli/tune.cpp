#include "vmm/cli/tune.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "vmm/base/file_descriptor.h"
#include "vmm/cli/build_identity.h"
#include "vmm/cli/host_processor.h"
#include "vmm/cli/output_file.h"
#include "vmm/kvm/system.h"
#include "vmm/tune/guest_process.h"
#include "vmm/tune/report.h"

namespace exo::vmm {
namespace {

using namespace tune;

constexpr std::size_t memory_disk_size = std::size_t{64} << 20;
constexpr std::chrono::seconds patience{120};  ///< for a step of some seconds, on the slowest of machines

std::string guest_beside_program() {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    return program.parent_path().parent_path() / "guest" / "exo.efi";
}

Result<std::string> find_kernel(const std::string& asked) {
    const std::string kernel = asked.empty() ? guest_beside_program() : asked;
    if (::access(kernel.c_str(), R_OK) == 0) return kernel;
    return fail(fmt::format("cannot read the guest {}", kernel), std::strerror(errno),
                asked.empty() ? "Build it (cmake --build --preset release --target guest), or give --kernel."
                              : "Check the path.");
}

/// A file without a name, which is gone with the last process that has it. It is handed to children.
Result<FileDescriptor> make_memory_disk() {
    constexpr char what[] = "cannot make a disk in memory";
    FileDescriptor file(::memfd_create("vmm-tune-disk", 0));
    if (!file || ::ftruncate(file.get(), memory_disk_size) != 0) return fail_errno(what, errno);
    std::vector<std::uint64_t> piece(std::size_t{1} << 17);
    std::mt19937_64 random;
    std::ranges::generate(piece, random);
    const std::size_t bytes = piece.size() * sizeof(piece[0]);
    for (std::size_t at = 0; at < memory_disk_size; at += bytes)
        if (::pwrite(file.get(), piece.data(), bytes, static_cast<off_t>(at)) != static_cast<ssize_t>(bytes))
            return fail_errno(what, errno);
    return file;
}

/// A line for the person at the terminal, gone when there is no more to wait for.
class Progress {
  public:
    Progress() = default;
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress() {
        if (terminal_) fmt::print(stderr, "\r\x1b[K");
    }
    void show(const std::string& text) {
        if (terminal_) fmt::print(stderr, "\r{} ", text);
    }

  private:
    const bool terminal_ = ::isatty(STDERR_FILENO) != 0;
};

/// The sweep of one call of the program.
class Tuning {
  public:
    Tuning(const TuneOptions& options, std::string kernel, std::string disk)
        : options_(options), kernel_(std::move(kernel)), disk_(std::move(disk)) {}

    Result<Sweep> sweep() {
        Sweep sweep{.modes = Series({}), .poll_limits = {}, .queues = {}, .knowledge = {}};
        std::vector<Way> ways(fixed_ways.begin(), fixed_ways.end());
        ways.insert(ways.end(), adaptive_ways.begin(), adaptive_ways.end());
        Result<void> done;
        for (unsigned round = 0; done && round < options_.rounds; ++round)
            for (const Load& load : sweep_loads(options_.quick))
                if (done) done = run_guest(sweep.modes, ways, load, round);
        if (done) done = compare_settings(sweep);
        if (!done) return std::unexpected(done.error());
        sweep.knowledge = median_of(knowledge_);
        return sweep;
    }

  private:
    /// What the machine has beside the guest's choice, by the guest's own controller.
    Result<void> compare_settings(Sweep& sweep) {
        // Never, and for longer than any default.
        for (const unsigned poll : {0u, 200u}) sweep.poll_limits.emplace_back(Setting{.poll_us = poll});
        const unsigned cpus = std::clamp(static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN)), 1u, 4u);
        if (cpus > 1)
            for (const unsigned queues : {cpus, 1u})
                sweep.queues.emplace_back(Setting{.queues = queues, .cpus = cpus});
        std::vector<Load> by_one = sweep_loads(options_.quick);
        std::erase_if(by_one, [](const Load& load) { return load.depth > 1; });
        const Load by_all{.rate = 0, .depth = 8, .jobs = cpus};
        for (unsigned round = 0; round < options_.rounds; ++round) {
            for (Series& one : sweep.poll_limits)
                for (const Load& load : by_one)
                    if (auto done = run_guest(one, adaptive_ways, load, round); !done) return done;
            for (Series& one : sweep.queues)
                if (auto done = run_guest(one, adaptive_ways, by_all, round); !done) return done;
        }
        return {};
    }

    Result<void> run_guest(Series& series, std::span<const Way> ways, const Load& load, std::size_t round) {
        const std::vector<Step> steps = steps_for(ways, {&load, 1}, round);
        progress_.show(fmt::format("guest {}…", ++guests_));
        auto guest =
            GuestProcess::start(vmm_run(series.setting(), guest_command(steps, options_.operations)));
        if (!guest) return std::unexpected(guest.error());
        StepRecorder recorder(steps);
        for (;;) {
            const auto line = guest->next_line(patience);
            if (!line) return std::unexpected(line.error());
            if (!*line) break;
            if (auto taken = recorder.take(**line, guest->cpu_time()); !taken) return taken;
        }
        if (const int status = guest->wait(); status != 0)
            return fail("the guest of a measurement did not end well",
                        fmt::format("vmm run ended with status {}", status));
        if (auto all = recorder.finish(); !all) return all;
        series.add(recorder.measured());
        knowledge_.insert(knowledge_.end(), recorder.knowledge().begin(), recorder.knowledge().end());
        return {};
    }

    std::vector<std::string> vmm_run(const Setting& setting, const std::vector<std::string>& command) const {
        std::string disk = disk_;
        if (!options_.operations.writes()) disk += ",readonly";
        if (setting.poll_us) disk += fmt::format(",poll={}", *setting.poll_us);
        if (setting.cpus > 1) disk += fmt::format(",queues={}", setting.queues);
        std::vector<std::string> words = {
            "run",    "--boot", "direct", "--kernel", kernel_, "--cpus", fmt::to_string(setting.cpus),
            "--disk", disk,     "--"};
        words.insert(words.end(), command.begin(), command.end());
        return words;
    }

    const TuneOptions& options_;
    const std::string kernel_;
    const std::string disk_;
    std::vector<Knowledge> knowledge_;
    unsigned guests_ = 0;
    Progress progress_;
};

Result<std::string> why_time_means_nothing(bool anyway) {
    if (!processor_is_emulated()) return "";
    const std::string reason = "software emulates this processor, so its time means nothing";
    if (anyway) return reason;
    return fail(
        "this host cannot be tuned", reason,
        "Run it where doctor shows hardware virtualization, or add --anyway for figures of the emulator.");
}

Result<void> check_host() {
    const auto system = KvmSystem::open();
    if (!system) return std::unexpected(system.error());
    return system->check_required();
}

}  // namespace

Result<std::string> tune_here(const TuneOptions& options) {
    if (auto fit = check_host(); !fit) return std::unexpected(fit.error());
    auto not_this_hardware = why_time_means_nothing(options.anyway);
    if (!not_this_hardware) return std::unexpected(not_this_hardware.error());
    auto kernel = find_kernel(options.kernel);
    if (!kernel) return std::unexpected(kernel.error());
    if (auto writable = check_writable(options.json, "--json"); !writable)
        return std::unexpected(writable.error());
    FileDescriptor memory;
    std::string disk = options.disk;
    if (disk.empty()) {
        auto made = make_memory_disk();
        if (!made) return std::unexpected(made.error());
        memory = std::move(*made);
        disk = fmt::format("/proc/self/fd/{}", memory.get());
    }
    const auto sweep = Tuning(options, std::move(*kernel), disk).sweep();
    if (!sweep) return std::unexpected(sweep.error());
    const Circumstances circumstances{.version = version_and_build(),
                                      .processor = processor_name(),
                                      .host_cpus = static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN)),
                                      .disk = options.disk.empty() ? "a disk in memory" : options.disk,
                                      .operations = options.operations,
                                      .rounds = options.rounds,
                                      .not_this_hardware = *not_this_hardware};
    if (!options.json.empty())
        if (auto written = write_document(options.json, "--json", report_json(circumstances, *sweep));
            !written)
            return std::unexpected(written.error());
    return report_text(circumstances, *sweep);
}

}  // namespace exo::vmm
