#include "guest/drivers/serial/serial_console.h"

#include <algorithm>

#include "guest/arch/arch.h"

namespace exo::guest {

void SerialConsole::use_interrupts(TimeSource& time) {
    const arch::InterruptGuard guard;
    time_ = &time;
    uart_.enable_receive_interrupt();
}

void SerialConsole::handle_interrupt() {
    drain();
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

void SerialConsole::write(std::string_view text) {
    for (const char character : text) {
        if (character == '\n') uart_.write('\r');
        uart_.write(character);
    }
}

std::optional<char> SerialConsole::read() {
    const arch::InterruptGuard guard;
    if (empty()) drain();
    if (empty()) return std::nullopt;
    return input_[read_++ % input_capacity];
}

bool SerialConsole::wait_for_input(std::uint64_t deadline_ns) {
    // The line is looked at now and then even without an interrupt: a lost one must not lose the console.
    constexpr std::uint64_t look_again_ns = 50 * ns_per_ms;
    const arch::InterruptGuard guard;
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
        arch::wait_for_interrupt(std::min(deadline_ns, now + look_again_ns));
    }
}

}  // namespace exo::guest
