#include "guest/drivers/clock/reference_counter.h"

namespace exo::guest {
namespace {

constexpr std::uint16_t channel_2_port = 0x42;
constexpr std::uint16_t mode_port = 0x43;
constexpr std::uint16_t gate_port = 0x61;  // bit 0: gate of channel 2, bit 1: speaker

constexpr std::uint8_t channel_2_rate_generator = 0xb4;  // channel 2, low then high byte, mode 2
constexpr std::uint8_t channel_2_latch = 0x80;

}  // namespace

PitCounter::PitCounter(Registers& ports) : ports_(ports) {
    ports.write8(gate_port, static_cast<std::uint8_t>((ports.read8(gate_port) & ~0x02u) | 0x01u));
    ports.write8(mode_port, channel_2_rate_generator);
    ports.write8(channel_2_port, 0);  // 0 counts from 65536
    ports.write8(channel_2_port, 0);
}

std::uint64_t PitCounter::read() {
    ports_.write8(mode_port, channel_2_latch);
    const unsigned low = ports_.read8(channel_2_port);
    const unsigned high = ports_.read8(channel_2_port);
    return (0x1'0000u - (high << 8 | low)) & 0xffffu;
}

}  // namespace exo::guest
