#include <algorithm>
#include <cstdint>
#include <iterator>
#include <new>

#include "guest/arch/arch.h"
#include "guest/arch/spin_lock.h"
#include "guest/kernel/command.h"
#include "guest/kernel/panic.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);

constexpr std::string_view details =
    "The kernel reports what happened and ends the machine with the panic status, 126.\n"
    "  null      write through a null pointer\n"
    "  code      overwrite the kernel's code\n"
    "  constant  overwrite a constant\n"
    "  execute   call data as a function\n"
    "  stack     recurse until the stack ends\n"
    "  divide    divide by zero\n"
    "  invalid   execute an invalid instruction\n"
    "  pointer   read from an address that is not canonical\n"
    "  heap      free the same memory twice, which a debug build notices\n"
    "  panic     panic, as the kernel does where it cannot go on\n"
    "  elsewhere panic on another processor, while this one hears no interrupt\n"
    "  nested    panic while a panic is being reported\n"
    "  order     take two spin locks in both orders, which a debug build notices\n"
    "  triple    fault without a handler, which the kernel cannot report: the machine ends or restarts\n"
    "  spin      wait for a spin lock that is never given back, which a debug build notices\n";
constexpr Command command{"crash", "way", "make the kernel fail, to see how it reports that", run, details};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

/// Memory that the compiler knows nothing about.
volatile std::uint32_t* hide(std::uintptr_t address) {
    asm volatile("" : "+r"(address));
    return reinterpret_cast<volatile std::uint32_t*>(address);
}

constexpr std::uint32_t some_constant = 42;
std::uint32_t some_data[] = {0xc3c3'c3c3};  // would return at once if it were code

void write_null() {
    *hide(0) = 1;
}
void write_code() {
    *hide(reinterpret_cast<std::uintptr_t>(&write_null)) = 0;
}
void write_constant() {
    *hide(reinterpret_cast<std::uintptr_t>(&some_constant)) = 0;
}
void execute_data() {
    reinterpret_cast<void (*)()>(
        const_cast<std::uint32_t*>(hide(reinterpret_cast<std::uintptr_t>(some_data))))();
}

[[gnu::noinline]] std::uint32_t recurse(std::uint32_t depth) {
    volatile std::uint32_t frame[64];
    frame[depth % 64] = depth;
    if (depth == ~0u) return 0;  // the stack ends long before
    return recurse(depth + 1) + frame[depth % 64];
}
void overflow_stack() {
    recurse(0);
}

void divide_by_zero() {
    std::uint32_t quotient = 1;
    std::uint32_t remainder = 0;
    asm volatile("divl %2" : "+a"(quotient), "+d"(remainder) : "r"(0));
}
void execute_invalid() {
    asm volatile("ud2");
}
void read_wild_pointer() {
    static_cast<void>(*hide(0xdead'0000'0000'0000));
}

void free_twice() {
    auto* const piece = new (std::nothrow) std::uint32_t(1);
    auto* const again = const_cast<std::uint32_t*>(hide(reinterpret_cast<std::uintptr_t>(piece)));
    delete piece;
    delete again;
}

/// Interrupts are off, so that this one stays this one.
unsigned another_cpu() {
    return (arch::current_cpu() + 1) % arch::cpu_count();
}

/// While this one hears no interrupt: it must stop all the same.
void panic_elsewhere() {
    const arch::InterruptGuard deaf;
    arch::call_on_cpu(another_cpu(), [](void*) { panic("asked for by `crash elsewhere`"); }, nullptr);
}

void take_locks_in_both_orders() {
    SpinLock first;
    SpinLock second;
    {
        const Locked outer(first);
        const Locked inner(second);
    }
    const Locked outer(second);
    const Locked inner(first);
}

SpinLock never_given_back;
void take_for_ever(void*) EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    never_given_back.lock();
}
void spin_without_end() {
    if (EXO_LOCK_CHECKS == 0) return;  // then it would be without end
    const arch::InterruptGuard here;
    arch::call_on_cpu(another_cpu(), take_for_ever, nullptr);
    const Locked guard(never_given_back);
}

struct PanicsWhenPrinted {};
void format_value(TextSink&, const PanicsWhenPrinted&) {
    panic("the value to print was no good either");
}

void panic_plainly() {
    panic("asked for by `crash panic`");
}
void panic_in_panic() {
    panic("asked for by `crash nested`: {}", PanicsWhenPrinted{});
}

struct Way {
    std::string_view name;
    void (*crash)();
};
constexpr Way ways[] = {{"null", write_null},
                        {"code", write_code},
                        {"constant", write_constant},
                        {"execute", execute_data},
                        {"stack", overflow_stack},
                        {"divide", divide_by_zero},
                        {"invalid", execute_invalid},
                        {"pointer", read_wild_pointer},
                        {"heap", free_twice},
                        {"panic", panic_plainly},
                        {"elsewhere", panic_elsewhere},
                        {"nested", panic_in_panic},
                        {"order", take_locks_in_both_orders},
                        {"spin", spin_without_end},
                        {"triple", arch::triple_fault}};

unsigned run(Arguments arguments, CommandConsole& console) {
    std::string_view name;
    std::string_view* const rest[] = {&name};
    if (!parse_arguments(arguments, {}, rest, command, console)) return status::bad_usage;
    const auto* const way = std::ranges::find(ways, name, &Way::name);
    if (way == std::end(ways)) return bad_usage(console, command, "`help crash` lists the ways");
    way->crash();
    format(console, "{}: the kernel did not notice\n", name);
    return status::failure;
}

}  // namespace
}  // namespace exo::guest
