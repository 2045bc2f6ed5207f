#include "guest/arch/x86_64/start_cpus.h"

#include <algorithm>
#include <cstring>

#include "guest/arch/arch.h"
#include "guest/arch/cpu_report.h"
#include "guest/arch/x86_64/address_space.h"
#include "guest/arch/x86_64/clock.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/local_apic.h"
#include "guest/arch/x86_64/processor.h"
#include "guest/arch/x86_64/tsc_skew.h"
#include "guest/drivers/time_source.h"
#include "guest/kernel/console.h"
#include "guest/memory/kernel_memory.h"

// From trampoline.S.
extern "C" const std::byte exo_trampoline[], exo_trampoline_parameters[], exo_trampoline_end[];

namespace exo::guest::arch {

constinit std::array<Processor, maximum_cpus> processors;

namespace {

constexpr std::size_t start_stack_size = 64 << 10;
constexpr std::size_t exception_stack_size = 16 << 10;
/// A processor comes up within a millisecond; where many share few, it may have to wait for its turn.
constexpr std::uint64_t start_limit_ns = 5 * ns_per_s;

/// What a processor finds behind the trampoline's code.
struct TrampolineParameters {
    std::uint64_t cr3, cr0, efer;
    std::uint64_t processor_place;  ///< address of the pointer that it takes
    std::uint64_t stack_top;
    std::uint64_t entry;
    std::uint32_t protected_entry, protected_segment;
    std::uint32_t long_entry, long_segment;
    std::uint16_t unused, segments_limit;
    std::uint32_t segments_base;
};

struct FoundCpus {
    std::array<std::uint32_t, maximum_cpus> apic_ids = {};
    unsigned usable = 1;  ///< of them, the first is the one that booted
    unsigned all = 1;
};

/// Until guarded ones are there.
alignas(16) constinit std::byte first_exception_stacks[3][4096] = {};
constinit FoundCpus found;
constinit std::uint64_t start_page = 0;
constinit std::atomic<unsigned> count = 1;
/// The processor that is to come up; whoever comes up takes it.
constinit std::atomic<Processor*> awaited = nullptr;
constinit void (*entry_for_all)(unsigned cpu) = nullptr;
constinit std::atomic<bool> released = false;

struct ControlRegisters {
    std::uint64_t cr0, cr3, cr4, efer, xcr0;
};
constinit ControlRegisters first_processors = {};

ControlRegisters read_control_registers() {
    const std::uint64_t bits = read_cr4();
    return {.cr0 = read_cr0(),
            .cr3 = read_cr3(),
            .cr4 = bits,
            .efer = rdmsr(msr::efer) & ~msr::efer_long_mode_active,
            .xcr0 = (bits & cr4::os_xsave) != 0 ? read_xcr0() : 0};
}

std::uintptr_t top_of(std::span<std::byte> stack) {
    return reinterpret_cast<std::uintptr_t>(stack.data() + stack.size());
}

void add_cpu(std::uint32_t apic_id, unsigned limit) {
    const auto known = std::span(found.apic_ids).first(found.usable);
    if (std::ranges::find(known, apic_id) != known.end()) return;
    ++found.all;
    if (found.usable < limit) found.apic_ids[found.usable++] = apic_id;
}

/// The first C++ code of another processor, from the trampoline: on its own stack, with the trampoline's
/// tables.
[[noreturn]] void enter_processor(Processor* self) {
    const ControlRegisters& same = first_processors;
    write_cr3(same.cr3);
    write_cr4(same.cr4);
    if (same.xcr0 != 0) write_xcr0(same.xcr0);
    self->tables.load(reinterpret_cast<std::uint64_t>(self));
    enable_local_apic();
    use_timer_here();
    self->runs.store(true, std::memory_order_release);
    answer_tsc_samples();
    while (!released.load(std::memory_order_acquire)) pause();
    entry_for_all(self->number);
    halt();
}

void fill_start_page(std::uint64_t tables) {
    std::byte* const page = memory_at(start_page);
    std::memcpy(page, exo_trampoline, static_cast<std::size_t>(exo_trampoline_end - exo_trampoline));
    auto& parameters =
        *reinterpret_cast<TrampolineParameters*>(page + (exo_trampoline_parameters - exo_trampoline));
    const auto base = static_cast<std::uint32_t>(start_page);
    parameters.cr3 = tables;
    parameters.cr0 = first_processors.cr0;
    parameters.efer = first_processors.efer;
    parameters.processor_place = reinterpret_cast<std::uint64_t>(&awaited);
    parameters.entry = reinterpret_cast<std::uint64_t>(enter_processor);
    parameters.protected_entry += base;
    parameters.long_entry += base;
    parameters.segments_base += base;
}

void set_start_stack(std::uint64_t top) {
    auto* const parameters = memory_at(start_page) + (exo_trampoline_parameters - exo_trampoline);
    reinterpret_cast<volatile TrampolineParameters*>(parameters)->stack_top = top;
}

void wait_ns(std::uint64_t length) {
    for (const std::uint64_t start = now_ns(); now_ns() - start < length;) pause();
}

bool comes_up(const Processor& processor, std::uint64_t limit_ns) {
    for (const std::uint64_t start = now_ns(); now_ns() - start < limit_ns; pause())
        if (processor.runs.load(std::memory_order_acquire)) return true;
    return false;
}

/// The block and the stacks of a processor that has not come up yet.
Result<void> prepare(unsigned number, std::uint32_t apic_id) {
    Processor& processor = processors[number];
    processor.self = &processor;
    processor.number = number;
    processor.apic_id = apic_id;
    if (!processor.stack.empty()) return {};  // of one before that did not come up
    const auto stack = allocate_guarded_stack(start_stack_size);
    if (!stack) return std::unexpected(stack.error());
    processor.stack = *stack;
    return give_exception_stacks(number);
}

/// The start-up message, twice as the manual has it (volume 3, 9.4.4): the second is ignored where the first
/// was heard. False when the processor did not come up, and never will.
bool start(Processor& processor) {
    constexpr std::uint64_t heard_after = 200 * ns_per_us;
    set_start_stack(top_of(processor.stack));
    awaited.store(&processor);
    send_start_up(processor.apic_id, start_page);
    if (!comes_up(processor, heard_after)) send_start_up(processor.apic_id, start_page);
    if (comes_up(processor, start_limit_ns)) return true;
    awaited.store(nullptr);
    send_init(processor.apic_id);
    return false;
}

void start_all(std::uint64_t tables) {
    constexpr std::uint64_t after_init = 10 * ns_per_ms;
    first_processors = read_control_registers();
    fill_start_page(tables);
    for (unsigned i = 1; i < found.usable; ++i) send_init(found.apic_ids[i]);
    wait_ns(after_init);
    unsigned up = 1;
    for (unsigned i = 1; i < found.usable; ++i) {
        if (const auto done = prepare(up, found.apic_ids[i]); !done)
            return warn("processors: {} in use of {}: {}", up, found.usable, done.error().why);
        Processor& processor = processors[up];
        if (!start(processor)) {
            warn("processor with APIC id {}: it does not start, and is left out", processor.apic_id);
            continue;
        }
        processor.tsc_skew = measure_tsc_skew();
        count.store(++up);
    }
}

}  // namespace

void enter_first_processor() {
    Processor& first = processors[0];
    first.self = &first;
    first.apic_id = initial_apic_id();
    first.runs = true;
    for (unsigned i = 0; i < 3; ++i)
        first.tables.set_interrupt_stack(static_cast<InterruptStack>(i + 1),
                                         top_of(first_exception_stacks[i]));
    fill_interrupt_table();
    first.tables.load(reinterpret_cast<std::uint64_t>(&first));
}

void find_cpus(const acpi::Madt* madt, const boot::BootCpus& firmware, unsigned limit) {
    const unsigned most = std::clamp(limit, 1u, maximum_cpus);
    found.apic_ids[0] = processors[0].apic_id;
    if (madt != nullptr && madt->cpu_count != 0) {
        for (std::size_t i = 0; i < madt->cpu_count; ++i) add_cpu(madt->apic_ids[i], most);
    } else {
        const std::size_t cpus = std::min<std::size_t>(firmware.count, boot::BootCpus::max_count);
        for (std::size_t i = 0; i < cpus; ++i) add_cpu(firmware.apic_ids[i], most);
    }
}

unsigned machine_cpu_count() {
    return found.all;
}
unsigned usable_cpu_count() {
    return found.usable;
}

void reserve_start_page() {
    const auto page = kernel_memory().frames.allocate(1, {.below = 1 << 20});
    if (page) start_page = *page;
}

Result<void> give_exception_stacks(unsigned cpu) {
    for (const auto stack :
         {InterruptStack::double_fault, InterruptStack::nmi, InterruptStack::machine_check}) {
        const auto memory = allocate_guarded_stack(exception_stack_size);
        if (!memory) return std::unexpected(memory.error());
        processors[cpu].tables.set_interrupt_stack(stack, top_of(*memory));
    }
    return {};
}

unsigned cpu_count() {
    return count.load(std::memory_order_relaxed);
}
CpuLocal& cpu_local(unsigned cpu) {
    return processors[cpu];
}

void start_other_cpus(void (*entry)(unsigned cpu)) {
    if (found.usable == 1) return;
    if (start_page == 0) return warn("processors: 1 in use of {}: no memory below 1 MiB is free", found.all);
    entry_for_all = entry;
    LowPageTables tables;
    if (const auto root = tables.build(start_page))
        start_all(*root);
    else
        warn("processors: 1 in use of {}: {}", found.all, root.error().why);
    released.store(true, std::memory_order_release);
}

}  // namespace exo::guest::arch
