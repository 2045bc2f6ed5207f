#include "vmm/cli/run.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <functional>
#include <optional>

#include "shared/platform/exit_status.h"
#include "vmm/base/clock.h"
#include "vmm/cli/build_identity.h"
#include "vmm/cli/console.h"
#include "vmm/cli/guest_command.h"
#include "vmm/cli/inputs.h"
#include "vmm/cli/metrics.h"
#include "vmm/cli/output_file.h"
#include "vmm/cli/process_memory.h"
#include "vmm/cli/warm_firmware.h"
#include "vmm/isolation/syscall_filter.h"
#include "vmm/machine/machine.h"
#include "vmm/storage/open_disk.h"

namespace exo::vmm {
namespace {

std::int64_t microseconds(std::chrono::nanoseconds time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

std::string_view name_of(platform::BootPhase phase) {
    switch (phase) {
        case platform::BootPhase::firmware_done:
            return "firmware_done";
        case platform::BootPhase::loader_entry:
            return "loader_entry";
        case platform::BootPhase::kernel_entry:
            return "kernel_entry";
        case platform::BootPhase::ready:
            return "ready";
    }
    return "unknown";
}

/// One `vmm run`: a machine, and another one each time the guest restarts.
class Run {
  public:
    Run(const RunOptions& options, const Log& log, RunInputs& inputs, const KvmSystem& system,
        Console& console, Signals& signals)
        : options_(options),
          log_(log),
          inputs_(inputs),
          system_(system),
          console_(console),
          signals_(signals),
          warm_(options, inputs, system, log) {}

    Result<int> to_the_end(RunMetrics& metrics);

  private:
    MachineConfig config() const;
    Result<bool> one_machine(RunMetrics& metrics);
    Console::Outcome serve(Machine& machine);
    Result<void> save_paused(Machine& machine, const std::function<Result<void>()>& save);
    void take_snapshot(Machine& machine);
    void keep_firmware(Machine& machine);
    void passed(platform::BootPhase phase, std::chrono::nanoseconds start);
    int status_of(Console::Outcome outcome, const MachineEnd& end, RunMetrics& metrics) const;

    const RunOptions& options_;
    const Log& log_;
    RunInputs& inputs_;
    const KvmSystem& system_;
    Console& console_;
    Signals& signals_;
    SystemClock clock_;
    WarmFirmware warm_;
    std::atomic<Machine*> keep_ = nullptr;  ///< the machine whose firmware is to be kept once it is done
    bool first_ = true;                     ///< machine of the run
};

MachineConfig Run::config() const {
    MachineConfig config{.cpus = options_.cpus,
                         .ram = layout::split_ram(options_.memory),
                         .flash_variables = {},
                         .flash_code = {},
                         .kernel = {},
                         .direct_kernel = inputs_.direct_kernel ? &*inputs_.direct_kernel : nullptr,
                         .initrd = inputs_.initrd.bytes(),
                         .command_line = kernel_command_line(options_.append, options_.guest_command),
                         .disks = {},
                         .entropy = options_.trace_io.empty(),  // a trace is replayed without one
                         .trace_io = options_.trace_io,
                         .version = version_and_build()};
    if (first_) config.restore = inputs_.restore ? &*inputs_.restore : nullptr;
    if (inputs_.firmware) {
        config.flash_variables = inputs_.firmware->variables();
        config.flash_code = inputs_.firmware->code();
        config.variables = inputs_.variables.get();
        if (config.variables != nullptr) config.flash_variables = config.variables->bytes();
        config.kernel = inputs_.kernel.bytes();
    }
    for (std::size_t i = 0; i < inputs_.disks.size(); ++i)
        config.disks.push_back({.name = options_.disks[i].path,
                                .disk = *inputs_.disks[i],
                                .kind = options_.disks[i].kind,
                                .queues = options_.disks[i].queues,
                                .poll_cap = options_.disks[i].poll,
                                .rates = options_.disks[i].rates});
    return config;
}

Result<int> Run::to_the_end(RunMetrics& metrics) {
    for (;;) {
        const auto restart = one_machine(metrics);
        if (!restart) return std::unexpected(restart.error());
        if (!*restart) return metrics.status;
        ++metrics.restarts;
        // A guest may restart without end, and must not fill the log by it.
        if (std::has_single_bit(metrics.restarts))
            log_.warning("the guest restarts", {{"times", metrics.restarts}});
    }
}

/// True when the guest asked for a fresh start.
Result<bool> Run::one_machine(RunMetrics& metrics) {
    const bool direct = options_.boot == BootMethod::direct;
    if (direct)
        if (auto loaded = load_direct_kernel(options_, inputs_); !loaded)
            return std::unexpected(loaded.error());
    MachineConfig used = config();
    const auto start = metrics.process_start;
    metrics.firmware = used.restore != nullptr || !inputs_.firmware ? "none" : "cold";
    if (used.restore == nullptr && warm_.prepare(used)) metrics.firmware = "warm";
    const auto create = [&] {
        return Machine::create(
            system_, used,
            {.clock = clock_,
             .console = console_.output(),
             .firmware_log = {},
             .boot_phase = [this, start](platform::BootPhase phase) { passed(phase, start); },
             .thread_begins = options_.seccomp ? confine_thread : nullptr});
    };
    auto machine = create();
    if (!machine && metrics.firmware == "warm") {
        warm_.take_back(used, machine.error());
        metrics.firmware = "cold";
        machine = create();
    }
    if (!machine) return std::unexpected(machine.error());
    if (direct) {
        used.direct_kernel = nullptr;
        used.initrd = {};
        release_direct_kernel(inputs_);
    }
    metrics.machine_made = clock_.now();
    log_.info("the machine is made", {{"cpus", options_.cpus},
                                      {"memory_mib", options_.memory / layout::mib},
                                      {"disks", used.disks.size()},
                                      {"microseconds", microseconds(*metrics.machine_made - start)}});
    console_.attach((*machine)->serial());
    // A guest that was restored may have said long ago that it reads its input.
    if (std::exchange(first_, false) && inputs_.restore) console_.guest_ready();
    keep_ = warm_.wants_to_keep() ? machine->get() : nullptr;
    if (auto started = (*machine)->start(); !started) return std::unexpected(started.error());
    Console::Outcome outcome = serve(**machine);
    (*machine)->stop();
    const MachineEnd end = (*machine)->wait();
    if (outcome == Console::Outcome::ended) outcome = console_.drain();
    metrics.status = status_of(outcome, end, metrics);
    log_.info("the machine ended", {{"end", metrics.end}, {"status", metrics.status}});
    if (const auto traced = (*machine)->finish_trace(); !traced) log_.warning(traced.error().message());
    if (!options_.metrics.empty()) {
        const std::array<std::span<const std::byte>, 3> not_ours = {(*machine)->guest_memory(),
                                                                    used.flash_variables, used.flash_code};
        metrics.private_kib = own_private_kib(not_ours);
        metrics.report = (*machine)->report();
    }
    return outcome == Console::Outcome::ended && end.kind == MachineEnd::Kind::reset;
}

Console::Outcome Run::serve(Machine& machine) {
    for (;;) {
        const Console::Outcome outcome = console_.serve(machine.serial(), machine.ended_fd());
        if (outcome == Console::Outcome::snapshot)
            take_snapshot(machine);
        else if (outcome == Console::Outcome::attention)
            keep_firmware(machine);
        else
            return outcome;
    }
}

void Run::take_snapshot(Machine& machine) {
    if (options_.snapshot.empty())
        return log_.warning("no snapshot was taken: the run was started without --snapshot FILE");
    const auto start = clock_.now();
    const auto done = save_paused(machine, [&] { return machine.save(options_.snapshot); });
    if (!done) return log_.error(done.error().message());
    log_.info("a snapshot was taken",
              {{"file", options_.snapshot}, {"microseconds", microseconds(clock_.now() - start)}});
}

/// A machine that has ended meanwhile has nothing to save.
Result<void> Run::save_paused(Machine& machine, const std::function<Result<void>()>& save) {
    const auto paused = machine.pause();
    if (paused && !*paused) return {};
    const auto done = paused ? save() : std::unexpected(paused.error());
    machine.resume();
    return done;
}

/// On the vCPU's thread: the machine stops before the guest goes on.
void Run::passed(platform::BootPhase phase, std::chrono::nanoseconds start) {
    log_.info("the guest passed a point of its boot",
              {{"phase", name_of(phase)}, {"microseconds", microseconds(clock_.now() - start)}});
    if (phase == platform::BootPhase::ready) console_.guest_ready();
    if (phase != platform::BootPhase::firmware_done) return;
    if (Machine* const machine = keep_.exchange(nullptr)) {
        machine->request_pause();
        console_.call_attention();
    }
}

/// Only for later runs: this one does not fail when it cannot be kept.
void Run::keep_firmware(Machine& machine) {
    const auto start = clock_.now();
    const auto done = save_paused(machine, [&] { return warm_.keep(machine); });
    if (!done) return log_.info(done.error().message());
    log_.info("the firmware's work is kept", {{"microseconds", microseconds(clock_.now() - start)}});
}

int Run::status_of(Console::Outcome outcome, const MachineEnd& end, RunMetrics& metrics) const {
    switch (outcome) {
        case Console::Outcome::quit:
            metrics.end = "quit";
            return platform::status_user_quit;
        case Console::Outcome::signal:
            metrics.end = "signal";
            return platform::status_signal_base + signals_.end_requested().value_or(0);
        case Console::Outcome::no_output:
            metrics.end = "no_output";
            return platform::status_signal_base + SIGPIPE;
        case Console::Outcome::snapshot:
        case Console::Outcome::attention:
        case Console::Outcome::ended:
            break;
    }
    metrics.end = end.kind == MachineEnd::Kind::exited  ? "exited"
                  : end.kind == MachineEnd::Kind::reset ? "reset"
                                                        : "died";
    if (end.kind == MachineEnd::Kind::died)
        log_.error(end.explanation);
    else if (end.kind == MachineEnd::Kind::exited && end.status == platform::status_guest_died)
        log_.error("the guest ended with a status that is none of a guest's");
    return end.status;
}

Result<void> check_host(const KvmSystem& system, const RunOptions& options) {
    if (auto done = system.check_required(); !done) return done;
    if (options.cpus > system.max_vcpus())
        return fail(fmt::format("cannot give the guest {} CPUs", options.cpus),
                    fmt::format("this host's KVM allows {}", system.max_vcpus()), "Give a smaller --cpus.");
    return {};
}

/// From here on, vmm makes the system calls that running guests takes, and no others.
Result<void> confine(const RunOptions& options) {
    if (!options.seccomp) return {};
    ::tzset();  // the log's time needs a file, which guests' threads cannot open
    report_denied_calls(RawTerminal::restore_now);
    return confine_process(std::ranges::any_of(
        options.disks, [](const DiskOption& disk) { return is_network_disk(disk.path); }));
}

Result<int> run_guest(const RunOptions& options, const Log& log, std::chrono::nanoseconds process_start) {
    auto inputs = load_inputs(options, log);
    if (!inputs) return std::unexpected(inputs.error());
    const auto inputs_read = SystemClock().now();
    log.info("the inputs are read", {{"kernel", options.kernel},
                                     {"boot", options.boot == BootMethod::direct ? "direct" : "uefi"},
                                     {"microseconds", microseconds(inputs_read - process_start)}});
    const auto system = KvmSystem::open();
    if (!system) return std::unexpected(system.error());
    if (auto fits = check_host(*system, options); !fits) return std::unexpected(fits.error());
    const auto wake = EventFd::create();
    if (!wake) return std::unexpected(wake.error());
    auto signals = Signals::catch_all();
    if (!signals) return std::unexpected(signals.error());

    RunMetrics metrics;
    metrics.process_start = process_start;
    metrics.inputs_read = inputs_read;
    Result<int> status = 0;
    {
        Console console(*wake, *signals);
        if (auto done = confine(options); !done) return std::unexpected(done.error());
        status = Run(options, log, *inputs, *system, console, *signals).to_the_end(metrics);
    }
    if (!status || options.metrics.empty()) return status;
    if (const auto written = write_metrics(options.metrics, metrics); !written)
        log.warning(written.error().message());
    return status;
}

}  // namespace

Result<int> run(const RunOptions& options, std::chrono::nanoseconds process_start) {
    const auto writable = check_writable(options.log.file, "--log-file");
    if (!writable) return std::unexpected(writable.error());
    const auto log = Log::open(options.log);
    if (!log) return std::unexpected(log.error());
    const auto status = run_guest(options, *log, process_start);
    if (status) return status;
    std::fflush(stdout);
    log->error(status.error().message());
    return platform::status_vmm_failed;
}

}  // namespace exo::vmm
