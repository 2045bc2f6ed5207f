#include "vmm/machine/machine.h"

#include <pthread.h>

#include <csignal>

#include "shared/platform/exit_status.h"
#include "vmm/devices/fusion_blk.h"
#include "vmm/machine/direct/direct_boot.h"
#include "vmm/machine/exit_dispatch.h"
#include "vmm/machine/machine_facts.h"
#include "vmm/machine/without_firmware.h"

namespace exo::vmm {
namespace {

constexpr std::uint32_t physical_address_leaf = 0x8000'0008;
constexpr unsigned default_physical_bits = 36;

/// Takes a vCPU's thread out of the guest, or out of a blocking call.
int kick_signal() {
    return SIGRTMIN;
}

void catch_kicks() {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(kick_signal(), &action, nullptr);
}

/// Threads inherit the mask: signals for the process are the main thread's to answer.
class AllSignalsButKicksBlocked {
  public:
    AllSignalsButKicksBlocked() {
        sigset_t blocked;
        ::sigfillset(&blocked);
        ::sigdelset(&blocked, kick_signal());
        ::sigdelset(&blocked, SIGSYS);  // a thread's own: what its filter of system calls denies
        ::pthread_sigmask(SIG_SETMASK, &blocked, &before_);
    }
    AllSignalsButKicksBlocked(const AllSignalsButKicksBlocked&) = delete;
    AllSignalsButKicksBlocked& operator=(const AllSignalsButKicksBlocked&) = delete;
    ~AllSignalsButKicksBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
};

Result<GuestRam> make_ram(const MachineConfig& config) {
    const SnapshotFile* const snapshot = config.restore;
    if (snapshot == nullptr) return GuestRam::create(config.ram);
    if (snapshot->memory_size() != config.ram.total())
        return fail(fmt::format("cannot restore {}", snapshot->path()),
                    "it has another amount of memory than it tells");
    return GuestRam::map(config.ram, snapshot->fd(), snapshot->memory_offset());
}

unsigned physical_bits(const CpuidTable& cpuid) {
    const auto leaf = std::ranges::find(cpuid, physical_address_leaf, &CpuidEntry::function);
    return leaf == cpuid.end() ? default_physical_bits : leaf->eax & 0xff;
}

}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(const KvmSystem& system, const MachineConfig& config,
                                                 const MachinePorts& outside) {
    const auto cpuid = system.supported_cpuid();
    if (!cpuid) return std::unexpected(cpuid.error());
    const auto msr_indices = system.msr_indices();
    if (!msr_indices) return std::unexpected(msr_indices.error());
    const auto facts = [&](SnapshotKind kind) {
        return machine_facts(config, *cpuid, system.has_tsc_deadline_timer(), kind);
    };
    if (config.restore != nullptr)
        if (auto fits = config.restore->check(facts(config.restore_kind)); !fits)
            return std::unexpected(fits.error());
    auto ram = make_ram(config);
    if (!ram) return std::unexpected(ram.error());
    auto ended = EventFd::create();
    if (!ended) return std::unexpected(ended.error());
    auto vm = Vm::create(system);
    if (!vm) return std::unexpected(vm.error());

    std::unique_ptr<Machine> machine(
        new Machine(std::move(*ram), std::move(*vm), std::move(*ended), config, outside));
    machine->guest_facts_ = facts(SnapshotKind::guest);
    machine->msr_indices_ = *msr_indices;
    Vm& made = machine->vm_;
    auto done = made.place_intel_pages(layout::kvm_identity_map, layout::kvm_tss);
    if (done) done = made.create_interrupt_controllers();
    if (done) done = machine->map_memory(config);
    if (done) done = machine->create_platform(config, *cpuid);
    if (done) done = machine->create_devices(config);
    if (done) done = machine->create_vcpus(system, *cpuid);
    if (done && config.restore != nullptr)
        done = machine->restore(*config.restore, config.restore_kind);
    else if (done && config.direct_kernel != nullptr)
        done = machine->start_directly(config, *cpuid);
    if (!done) return std::unexpected(done.error());
    return machine;
}

Machine::Machine(GuestRam ram, Vm vm, EventFd ended, const MachineConfig& config, const MachinePorts& outside)
    : cpus_(config.cpus),
      outside_(outside),
      ended_(std::move(ended)),
      ram_(std::move(ram)),
      memory_(ram_.regions()),
      vm_(std::move(vm)),
      routes_([this](std::span<const MsiRoute> routes) { return vm_.set_routes(routes); }),
      serial_pin_(vm_, layout::serial_irq),
      sci_(vm_, layout::sci_irq),
      pollers_(usable_cpus(), config.cpus) {}

Machine::~Machine() {
    stop();
    wait();
}

Result<void> Machine::map_memory(const MachineConfig& config) {
    std::uint32_t slot = 0;
    for (const GuestMemory::Region& region : memory_.regions())
        if (auto done = vm_.map({slot++, region.start, region.host}); !done) return done;
    if (config.flash_code.empty()) return {};
    const auto place = layout::place_flash(config.flash_variables.size(), config.flash_code.size());
    if (!config.flash_variables.empty()) {
        const MemorySlot variables{slot++, {place.variables.start}, config.flash_variables, true};
        if (auto done = vm_.map(variables); !done) return done;
        flash_mapping_.emplace(vm_, variables, [this](const Error& error) { die(error.message()); });
    }
    return vm_.map({slot, {place.code.start}, config.flash_code, true});
}

Result<void> Machine::create_platform(const MachineConfig& config, const CpuidTable& cpuid) {
    const auto windows = layout::pci_windows(config.ram, physical_bits(cpuid));
    const PlatformConfig platform{.cpus = config.cpus,
                                  .ram = config.ram,
                                  .windows = windows,
                                  .acpi = acpi::build({config.cpus, windows}),
                                  .flash_variables = config.flash_variables,
                                  .flash_code = config.flash_code,
                                  .variables = config.variables,
                                  .kernel = config.kernel,
                                  .initrd = config.initrd,
                                  .command_line = config.command_line,
                                  .chainloader = config.chainloader};
    auto made = Platform::create(platform, {.memory = memory_,
                                            .clock = outside_.clock,
                                            .events = *this,
                                            .serial_output = outside_.console,
                                            .serial_interrupt = serial_pin_,
                                            .sci = sci_,
                                            .flash_mapping = flash_mapping_ ? &*flash_mapping_ : nullptr,
                                            .debug_output = outside_.firmware_log});
    if (!made) return std::unexpected(made.error());
    platform_ = std::move(*made);
    if (config.trace_io.empty()) return {};
    std::vector<unsigned> disk_vectors;
    for (const DiskConfig& disk : config.disks) disk_vectors.push_back(disk_queues(disk, cpus_));
    auto trace = IoTrace::create(config.trace_io, platform, disk_vectors);
    if (!trace) return std::unexpected(trace.error());
    trace_ = std::move(*trace);
    trace_->attach(*platform_);
    return {};
}

Result<void> Machine::create_devices(const MachineConfig& config) {
    const AttachedDevice::Host host{vm_,
                                    routes_,
                                    outside_.clock,
                                    pollers_,
                                    [this] { return guest_tsc(); },
                                    [this](const Error& error) { die(error.message()); }};
    std::uint8_t slot = layout::first_device_slot;
    for (const DiskConfig& disk : config.disks) {
        auto made = MachineDisk::create(host, memory_, disk, static_cast<unsigned>(disks_.size()), cpus_);
        if (!made) return std::unexpected(made.error());
        disks_.push_back(std::move(*made));
        storage_.push_back(&disk.disk);
        add_device(slot++, disks_.back()->attached());
    }
    if (!config.entropy) return {};
    auto entropy = EntropyDevice::create(host, memory_);
    if (!entropy) return std::unexpected(entropy.error());
    entropy_ = std::move(*entropy);
    add_device(slot, entropy_->attached());
    return {};
}

/// KVM gives all vCPUs of a machine one TSC.
std::uint64_t Machine::guest_tsc() const {
    return tsc_offset_ ? read_tsc() + *tsc_offset_ : 0;
}

void Machine::add_device(std::uint8_t slot, AttachedDevice& device) {
    platform_->pci().add({slot}, device.function());
    devices_.push_back(&device);
}

Result<void> Machine::create_vcpus(const KvmSystem& system, const CpuidTable& cpuid) {
    CpuTopology topology{
        .cpus = cpus_, .tsc_deadline = system.has_tsc_deadline_timer(), .brand = host_cpu_brand()};
    for (unsigned id = 0; id < cpus_; ++id) {
        auto vcpu = Vcpu::create(system, vm_, id);
        if (!vcpu) return std::unexpected(vcpu.error());
        topology.tsc_khz = vcpu->tsc_khz();
        if (id == 0) tsc_offset_ = vcpu->tsc_offset();
        auto done = vcpu->set_cpuid(cpuid_for_vcpu(cpuid, id, topology));
        if (done) done = vcpu->set_initial_msrs();
        if (!done) return done;
        vcpus_.push_back(std::make_unique<VcpuSlot>(std::move(*vcpu)));
    }
    return {};
}

Result<void> Machine::start_directly(const MachineConfig& config, const CpuidTable& cpuid) {
    const auto windows = layout::pci_windows(config.ram, physical_bits(cpuid));
    set_up_without_firmware(platform_->pci(), platform_->ports(), windows);
    const auto start = load_directly({.kernel = *config.direct_kernel,
                                      .initrd = config.initrd,
                                      .command_line = config.command_line,
                                      .ram = config.ram,
                                      .acpi = acpi::build({config.cpus, windows})},
                                     memory_);
    if (!start) return std::unexpected(start.error());
    for (const auto& slot : vcpus_)
        if (auto done = slot->vcpu.set_memory_types(); !done) return done;
    return vcpus_.front()->vcpu.set_start(*start);
}

Result<void> Machine::start() {
    catch_kicks();
    // No vCPU runs before all threads exist, so that each can end the others.
    const auto gate = std::make_shared<std::latch>(1);
    const Result<void> done = start_threads(gate);
    if (!done) stop();
    {
        const std::lock_guard lock(mutex_);
        threads_run_ = true;
        timeline_.vcpu_start = outside_.clock.now();
    }
    gate->count_down();
    return done;
}

Result<void> Machine::start_devices() {
    const AllSignalsButKicksBlocked blocked;
    for (AttachedDevice* const device : devices_)
        if (auto done = device->start([this] { begin_thread(ThreadKind::device); }); !done) return done;
    return {};
}

Result<void> Machine::start_threads(const std::shared_ptr<std::latch>& gate) try {
    if (auto done = start_devices(); !done) return done;
    const AllSignalsButKicksBlocked blocked;
    for (unsigned id = 0; id < cpus_; ++id)
        vcpus_[id]->thread = std::thread([this, id, gate] { run_vcpu(id, *gate); });
    return {};
} catch (const std::system_error& error) {
    return fail("cannot start a thread for every vCPU", error.what(),
                "Raise the limits of processes and of address space (ulimit -u, -v).");
}

void Machine::run_vcpu(unsigned id, const std::latch& gate) {
    ::pthread_setname_np(::pthread_self(), fmt::format("vcpu {}", id).c_str());
    begin_thread(ThreadKind::vcpu);
    gate.wait();
    VcpuSlot& slot = *vcpus_[id];
    while (!ending_.load(std::memory_order_acquire)) {
        const VcpuExit exit = slot.vcpu.run();
        slot.exits.add(exit);
        if (is_access(exit))
            serve(exit, platform_->ports(), platform_->memory());
        else if (std::holds_alternative<vcpu_exit::Interrupted>(exit))
            park(slot.vcpu);
        else if (const auto reason = fatal_reason(exit))
            die(fmt::format("vCPU {}: {}\n{}", id, *reason, slot.vcpu.describe_state(memory_)));
    }
}

void Machine::begin_thread(ThreadKind kind) {
    if (!outside_.thread_begins) return;
    if (const auto done = outside_.thread_begins(kind); !done) die(done.error().message());
}

void Machine::die(std::string explanation) {
    end({.kind = MachineEnd::Kind::died,
         .status = platform::status_guest_died,
         .explanation = std::move(explanation)});
}

void Machine::end(MachineEnd end) {
    const std::lock_guard lock(mutex_);
    if (end_) return;
    end_ = std::move(end);
    timeline_.end = outside_.clock.now();
    ending_.store(true, std::memory_order_release);
    if (threads_run_) kick_vcpus();
    changed_.notify_all();
    ended_.signal();
}

void Machine::kick_vcpus() {
    for (const auto& slot : vcpus_) {
        slot->vcpu.request_exit();
        if (slot->thread.joinable()) ::pthread_kill(slot->thread.native_handle(), kick_signal());
    }
}

MachineEnd Machine::wait() {
    for (const auto& slot : vcpus_)
        if (slot->thread.joinable()) slot->thread.join();
    for (AttachedDevice* const device : devices_) device->stop();
    const std::lock_guard lock(mutex_);
    threads_run_ = false;
    return end_.value_or(MachineEnd{});
}

void Machine::boot_phase(platform::BootPhase phase) {
    {
        const std::lock_guard lock(mutex_);
        const auto now = outside_.clock.now();
        switch (phase) {
            case platform::BootPhase::firmware_done:
                timeline_.firmware_done = now;
                break;
            case platform::BootPhase::loader_entry:
                timeline_.firmware_handover = now;
                break;
            case platform::BootPhase::kernel_entry:
                timeline_.kernel_entry = now;
                break;
            case platform::BootPhase::ready:
                timeline_.ready = now;
                break;
        }
    }
    if (outside_.boot_phase) outside_.boot_phase(phase);
}

MachineReport Machine::report() const {
    MachineReport report;
    for (const auto& slot : vcpus_) {
        report.exits.add(slot->exits);
        if (const auto file = slot->vcpu.statistics())
            if (const auto statistics = read_statistics(file->get())) add_statistics(report.kvm, *statistics);
    }
    report.ports = platform_->ports().counts();
    report.memory = platform_->memory().counts();
    for (const auto& disk : disks_) report.disks.push_back(disk->report());
    const std::lock_guard lock(mutex_);
    report.timeline = timeline_;
    return report;
}

}  // namespace exo::vmm
