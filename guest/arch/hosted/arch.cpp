#include "guest/arch/arch.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "guest/arch/hosted/hosted.h"

namespace exo::guest::arch {
namespace {

struct Processor {
    std::mutex interrupts_off;
    std::condition_variable interrupted;
};

Processor processor;
thread_local bool holds_interrupts_off = false;

}  // namespace

void pause() {
    std::this_thread::yield();
}

std::uint64_t timestamp() {
    return hosted::HostedTime().now_ns();
}
std::uint64_t timestamp_frequency() {
    return ns_per_s;
}

unsigned current_cpu() {
    return 0;
}

bool interrupts_enabled() {
    return !holds_interrupts_off;
}

void enable_interrupts() {
    if (!holds_interrupts_off) return;
    holds_interrupts_off = false;
    processor.interrupts_off.unlock();
}

void disable_interrupts() {
    if (holds_interrupts_off) return;
    processor.interrupts_off.lock();
    holds_interrupts_off = true;
}

void wait_for_interrupt(std::uint64_t deadline_ns) {
    std::unique_lock lock(processor.interrupts_off, std::adopt_lock);
    if (deadline_ns == no_deadline) {
        processor.interrupted.wait(lock);
    } else {
        using std::chrono::nanoseconds;
        using std::chrono::steady_clock;
        processor.interrupted.wait_until(
            lock, steady_clock::time_point(nanoseconds(static_cast<std::int64_t>(deadline_ns))));
    }
    lock.release();
}

std::byte* memory_at(std::uint64_t physical) {
    return reinterpret_cast<std::byte*>(physical);
}

bool is_readable(std::uintptr_t) {
    return true;
}  // tests hand in memory of their own

void halt() {
    std::abort();
}

void triple_fault() {
    std::abort();
}

namespace hosted {

void deliver_interrupt(void (*handler)(void*), void* context) {
    {
        const std::lock_guard lock(processor.interrupts_off);
        handler(context);
    }
    processor.interrupted.notify_all();
}

std::uint64_t HostedTime::now_ns() const {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void HostedTime::relax() {
    pause();
}

}  // namespace hosted
}  // namespace exo::guest::arch
