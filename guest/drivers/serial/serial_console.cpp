#include "guest/drivers/serial/serial_console.h"

#include <algorithm>

#include "guest/arch/arch.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {

void SerialConsole::use_interrupts(TimeSource& time) {
    const arch::InterruptGuard guard;
    time_ = &time;
    uart_.enable_receive_interrupt();
}

void SerialConsole::handle_interrupt() {
    const Locked guard(readers_);
    drain();
    readers_.wake_all();
}

void SerialConsole::drain() {
    // Bounded: a line that never runs dry must not keep the processor in its interrupt.
    for (std::size_t i = 0; i < input_capacity; ++i) {
        const auto character = uart_.read();
        if (!character) return;
        if (written_ - read_ == input_capacity) {
            ++overruns_;
        } else {
            input_[written_++ % input_capacity] = *character;
        }
    }
}

/// Whoever waits too long writes all the same: a panic is to be read, whoever it came upon.
bool SerialConsole::take_line() {
    const std::uint64_t start = arch::timestamp();
    while (line_taken_.exchange(true, std::memory_order_acquire)) {
        if (arch::timestamp() - start > arch::timestamp_frequency()) return false;
        arch::pause();
    }
    return true;
}

void SerialConsole::write(std::string_view text) {
    // Nobody waits for a writer that has been switched away from.
    const PreemptionGuard guard;
    const bool taken = take_line();
    for (const char character : text) {
        if (character == '\n') uart_.write('\r');
        uart_.write(character);
    }
    if (taken) line_taken_.store(false, std::memory_order_release);
}

std::optional<char> SerialConsole::read() {
    const Locked guard(readers_);
    if (empty()) drain();
    if (empty()) return std::nullopt;
    return input_[read_++ % input_capacity];
}

bool SerialConsole::wait_for_input(std::uint64_t deadline_ns) {
    // The line is looked at now and then even without an interrupt: a lost one must not lose the console.
    constexpr std::uint64_t look_again_ns = 50 * ns_per_ms;
    const Locked guard(readers_);
    while (true) {
        if (empty()) drain();
        if (!empty()) return true;
        if (time_ == nullptr) {
            if (deadline_ns != arch::no_deadline) return false;
            arch::pause();
            continue;
        }
        const std::uint64_t now = time_->now_ns();
        if (now >= deadline_ns) return false;
        readers_.wait(std::min(deadline_ns, now + look_again_ns));
    }
}

}  // namespace exo::guest
