#include "guest/arch/x86_64/interrupts.h"

#include <array>
#include <atomic>
#include <optional>

#include "guest/arch/arch.h"
#include "guest/arch/spin_lock.h"
#include "guest/arch/x86_64/address_space.h"
#include "guest/arch/x86_64/clock.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/cpu_calls.h"
#include "guest/arch/x86_64/exception.h"
#include "guest/arch/x86_64/exception_text.h"
#include "guest/arch/x86_64/local_apic.h"
#include "guest/arch/x86_64/memory_registers.h"
#include "guest/arch/x86_64/processor.h"
#include "guest/drivers/apic/io_apic.h"
#include "guest/kernel/panic.h"
#include "guest/sched/wait_queue.h"

namespace exo::guest::arch {
namespace {

/// What is behind one vector.
class VectorInterrupt final : public Interrupt {
  public:
    std::uint64_t count() const override { return count_.load(std::memory_order_acquire); }
    bool wait(std::uint64_t seen, std::uint64_t deadline_ns) override {
        const Locked guard(waiters_);
        while (count() == seen)
            if (!waiters_.wait(deadline_ns)) return count() != seen;
        return true;
    }

    std::uint64_t last_timestamp() const override { return last_timestamp_.load(std::memory_order_relaxed); }

    void set_handler(InterruptHandler handler, void* context) {
        const InterruptGuard guard;
        handler_ = handler;
        context_ = context;
    }
    void handle() {
        {
            const Locked guard(waiters_);
            last_timestamp_.store(rdtsc(), std::memory_order_relaxed);
            count_.fetch_add(1);
            waiters_.wake_all();
        }
        if (handler_ != nullptr) handler_(context_);
    }

  private:
    std::atomic<std::uint64_t> count_ = 0;
    std::atomic<std::uint64_t> last_timestamp_ = 0;
    WaitQueue waiters_;
    InterruptHandler handler_ = nullptr;
    void* context_ = nullptr;
};

constexpr unsigned device_vectors = vector::last_device - vector::first_device + 1;

class Supply final : public InterruptSupply {
  public:
    Result<MsiInterrupt> allocate_msi(unsigned cpu) override;
    Result<Interrupt*> legacy_irq(unsigned line) override;

    void add_io_apic(std::uint64_t address, std::uint32_t first_interrupt);
    void set_routes(const std::array<acpi::InterruptRoute, acpi::Madt::isa_lines>& routes) {
        routes_ = routes;
    }
    unsigned io_apic_count() const { return io_apic_count_; }
    VectorInterrupt& at(std::uint64_t vector) { return vectors_[vector - vector::first_device]; }
    Result<VectorInterrupt*> connect(unsigned line);

  private:
    Result<std::uint8_t> allocate_vector();

    std::array<VectorInterrupt, device_vectors> vectors_;
    std::atomic<unsigned> used_vectors_ = 0;
    std::array<MemoryRegisters, acpi::Madt::max_io_apics> io_apic_registers_;
    std::array<std::optional<IoApic>, acpi::Madt::max_io_apics> io_apics_;
    unsigned io_apic_count_ = 0;
    std::array<acpi::InterruptRoute, acpi::Madt::isa_lines> routes_ = {};
    SpinLock lines_lock_;  ///< and of the I/O APICs, whose registers are reached in two steps
    std::array<VectorInterrupt*, acpi::Madt::isa_lines> lines_
        EXO_THREAD_SAFETY(guarded_by(lines_lock_)) = {};
};

constinit Supply supply;

Result<std::uint8_t> Supply::allocate_vector() {
    const unsigned number = used_vectors_.fetch_add(1);
    if (number >= device_vectors) {
        used_vectors_ = device_vectors;
        return fail("interrupt vector", "all of them are taken");
    }
    return static_cast<std::uint8_t>(vector::first_device + number);
}

Result<MsiInterrupt> Supply::allocate_msi(unsigned cpu) {
    constexpr std::uint64_t msi_base = 0xfee0'0000;
    if (cpu >= cpu_count()) return fail("interrupt", "there is no such processor");
    const std::uint32_t apic_id = processors[cpu].apic_id;
    if (apic_id > 0xff)
        return fail("interrupt", "messages cannot name the processor: its APIC id is above 255");
    const auto vector = allocate_vector();
    if (!vector) return std::unexpected(vector.error());
    return MsiInterrupt{.interrupt = &at(*vector),
                        .message = {.address = msi_base | apic_id << 12, .data = *vector}};
}

void Supply::add_io_apic(std::uint64_t address, std::uint32_t first_interrupt) {
    constexpr std::uint64_t size = 0x20;
    const auto mapped = map_device(address, size);
    if (!mapped || io_apic_count_ == io_apics_.size()) return;
    MemoryRegisters& registers = io_apic_registers_[io_apic_count_];
    registers = MemoryRegisters(*mapped, size);
    io_apics_[io_apic_count_] = IoApic::probe(registers, first_interrupt);
    if (io_apics_[io_apic_count_]) ++io_apic_count_;
}

Result<VectorInterrupt*> Supply::connect(unsigned line) {
    if (line >= acpi::Madt::isa_lines) return fail("interrupt line", "there is no such line");
    const Locked guard(lines_lock_);
    if (lines_[line] != nullptr) return lines_[line];
    for (unsigned i = 0; i < io_apic_count_; ++i) {
        IoApic& io_apic = *io_apics_[i];
        if (!io_apic.serves(routes_[line].global_interrupt)) continue;
        const auto vector = allocate_vector();
        if (!vector) return std::unexpected(vector.error());
        lines_[line] = &at(*vector);
        io_apic.connect(routes_[line], *vector, static_cast<std::uint8_t>(local_apic_id()));
        return lines_[line];
    }
    return fail("interrupt line", "no I/O APIC serves it");
}

Result<Interrupt*> Supply::legacy_irq(unsigned line) {
    const auto connected = connect(line);
    if (!connected) return std::unexpected(connected.error());
    return *connected;
}

}  // namespace

void start_io_apics(const acpi::Madt* madt) {
    constexpr std::uint64_t usual_address = 0xfec0'0000;
    if (madt == nullptr || madt->io_apic_count == 0) {
        std::array<acpi::InterruptRoute, acpi::Madt::isa_lines> one_to_one;
        for (std::uint32_t line = 0; line < one_to_one.size(); ++line)
            one_to_one[line] = {.global_interrupt = line};
        supply.set_routes(one_to_one);
        supply.add_io_apic(usual_address, 0);
        return;
    }
    supply.set_routes(madt->isa);
    for (std::size_t i = 0; i < madt->io_apic_count; ++i)
        supply.add_io_apic(madt->io_apics[i].address, madt->io_apics[i].first_interrupt);
}

unsigned io_apic_count() {
    return supply.io_apic_count();
}
InterruptSupply& interrupt_supply() {
    return supply;
}

Result<void> handle_legacy_irq(unsigned line, InterruptHandler handler, void* context) {
    const auto connected = supply.connect(line);
    if (!connected) return std::unexpected(connected.error());
    (*connected)->set_handler(handler, context);
    return {};
}

namespace {

void end_of_sleep(Processor& processor) {
    if (processor.idle_since == 0) return;
    processor.idle_ticks.add(static_cast<std::int64_t>(rdtsc() - processor.idle_since));
    processor.idle_since = 0;
}

}  // namespace

/// Every exception and interrupt arrives here, from interrupt_entry.S.
extern "C" void exo_handle_interrupt(InterruptFrame* frame) {
    const std::uint64_t number = frame->vector;
    if (BreakpointCounter::take(*frame)) return;
    if (number == exception::nmi) stop_if_asked(frame->rip);
    if (recover_from_refused_msr(*frame)) return;
    if (number < exception::count) report_exception(*frame);
    Processor& processor = this_processor();
    end_of_sleep(processor);
    // Spurious ones, of the local APIC and of the masked legacy controllers, are not acknowledged.
    if (number == vector::spurious || number < vector::first_device) return;
    processor.interrupts.add_one();
    ++processor.interrupt_depth;
    if (number <= vector::last_device) supply.at(number).handle();
    if (number == vector::timer) handle_timer_interrupt();
    end_of_interrupt();
    if (number == vector::call || number == vector::reschedule) processor.ipis.add_one();
    // Behind the acknowledgement: what is called may take its time, and may sleep for interrupts.
    if (number == vector::call) run_calls(processor);
    --processor.interrupt_depth;
    run_exit_hook(processor);
}

}  // namespace exo::guest::arch
