#include "guest/drivers/block/ide_channel.h"

#include <algorithm>
#include <span>
#include <utility>

namespace exo::guest {
namespace {

namespace reg {
constexpr std::uint64_t data = 0;
constexpr std::uint64_t error = 1;
constexpr std::uint64_t count = 2;
constexpr std::uint64_t lba_low = 3;
constexpr std::uint64_t lba_mid = 4;
constexpr std::uint64_t lba_high = 5;
constexpr std::uint64_t drive = 6;
constexpr std::uint64_t status = 7;
constexpr std::uint64_t command = 7;
}  // namespace reg

constexpr std::uint8_t status_error = 0x01;
constexpr std::uint8_t status_data_request = 0x08;
constexpr std::uint8_t status_fault = 0x20;
constexpr std::uint8_t status_busy = 0x80;
constexpr std::uint8_t floating_bus = 0xff;

constexpr std::uint8_t error_aborted = 0x04;
constexpr std::uint8_t error_no_such_sector = 0x10;

constexpr std::uint8_t control_no_interrupt = 0x02;
constexpr std::uint8_t control_reset = 0x04;

constexpr std::uint8_t drive_fixed = 0xa0;
constexpr std::uint8_t drive_lba = 0x40;

constexpr std::uint8_t opcode_identify = 0xec;
constexpr std::uint8_t opcode_set_multiple = 0xc6;

/// What a drive leaves in the middle and high address bytes when it does not take disk commands.
constexpr std::uint16_t parallel_packet_signature = 0xeb14;
constexpr std::uint16_t serial_packet_signature = 0x9669;

constexpr std::uint64_t probe_timeout_ns = 5 * ns_per_s;
constexpr std::uint64_t silence_timeout_ns = 50 * ns_per_ms;
constexpr std::uint64_t reset_timeout_ns = 2 * ns_per_s;
constexpr std::uint64_t reset_pulse_ns = 10 * ns_per_us;
constexpr std::uint64_t reset_settle_ns = 2 * ns_per_ms;

void pass(TimeSource& time, std::uint64_t duration_ns) {
    const std::uint64_t end = time.now_ns() + duration_ns;
    while (time.now_ns() < end) time.relax();
}

}  // namespace

IdeChannel::IdeChannel(std::unique_ptr<Registers> command, std::unique_ptr<Registers> control,
                       TimeSource& time)
    : command_(std::move(command)), control_(std::move(control)), time_(&time), watch_(nullptr, time) {}

bool IdeChannel::exists() {
    if (alternate_status() == floating_bus) return false;
    // A bus with nothing on it may hold any value, but remembers none.
    for (const std::uint8_t pattern : {std::uint8_t{0x55}, std::uint8_t{0xaa}}) {
        command_->write8(reg::lba_low, pattern);
        command_->write8(reg::lba_mid, static_cast<std::uint8_t>(~pattern));
        if (command_->read8(reg::lba_low) != pattern) return false;
    }
    control_->write8(0, control_no_interrupt);
    return true;
}

IdeChannel::Presence IdeChannel::identify(unsigned drive, IdeIdentifyData& data) {
    select(drive, false, 0);
    const std::uint8_t before = alternate_status();
    if (before == 0 || before == floating_bus) return Presence::absent;
    if (!wait_not_busy(probe_timeout_ns)) return Presence::stuck;
    issue(drive, Command{.opcode = opcode_identify});
    const std::uint64_t start = time_->now_ns();
    for (;;) {
        const std::uint8_t status = alternate_status();
        if (status == 0 || status == floating_bus) return Presence::absent;
        const std::uint64_t passed = time_->now_ns() - start;
        if ((status & status_busy) != 0) {
            if (passed >= probe_timeout_ns) return Presence::stuck;
        } else if ((status & (status_error | status_fault)) != 0) {
            const auto signature = static_cast<std::uint16_t>(command_->read8(reg::lba_mid) |
                                                              command_->read8(reg::lba_high) << 8);
            command_->read8(reg::status);
            const bool packet =
                signature == parallel_packet_signature || signature == serial_packet_signature;
            return packet ? Presence::packet : Presence::absent;
        } else if ((status & status_data_request) != 0) {
            command_->read16_repeated(reg::data, std::as_writable_bytes(std::span(data)));
            command_->read8(reg::status);
            return Presence::disk;
        } else if (passed >= silence_timeout_ns) {
            return Presence::absent;
        }
        time_->relax();
    }
}

std::uint8_t IdeChannel::set_multiple(unsigned drive, std::uint8_t sectors) {
    issue(drive, Command{.opcode = opcode_set_multiple, .count = sectors});
    const bool answered = wait_not_busy(probe_timeout_ns);
    const std::uint8_t status = command_->read8(reg::status);
    const bool accepted = answered && (status & (status_error | status_fault)) == 0;
    multiple_[drive] = accepted ? sectors : std::uint8_t{1};
    return multiple_[drive];
}

void IdeChannel::start(unsigned drive, const Command& command, BlockRequest& request,
                       BlockQueueCounters& counters) {
    request_ = &request;
    counters_ = &counters;
    running_ = command;
    sectors_left_ = command.count;
    segment_ = 0;
    segment_offset_ = 0;
    first_block_ = command.data == Command::Data::out;
    issue(drive, command);
    ++counters.doorbells;
}

std::size_t IdeChannel::progress() {
    std::size_t steps = 0;
    while (request_ != nullptr) {
        if ((alternate_status() & status_busy) != 0) break;
        // Reading the status itself, not its alternate, takes the interrupt back.
        const std::uint8_t status = command_->read8(reg::status);
        const bool wants_data = (status & status_data_request) != 0;
        if ((status & (status_error | status_fault)) != 0) {
            end(error_status());
        } else if (running_.data != Command::Data::none && sectors_left_ > 0) {
            if (!wants_data) break;
            move_block();
            if (running_.data == Command::Data::in && sectors_left_ == 0) end(BlockStatus::ok);
            short_delay();
        } else if (wants_data) {
            // It asks for data beyond what the command moves.
            ++counters_->faults;
            end(BlockStatus::device_failed);
            dead_ = true;
        } else {
            end(BlockStatus::ok);
        }
        ++steps;
    }
    return steps;
}

bool IdeChannel::prepare_sleep() {
    // Without a running command nothing will come, and what a write waits for first comes silently.
    if (request_ == nullptr || first_block_) return false;
    control_->write8(0, 0);
    if ((alternate_status() & status_busy) == 0) return false;
    ++counters_->sleeps;
    return true;
}

void IdeChannel::finish_sleep() {
    control_->write8(0, control_no_interrupt);
}

void IdeChannel::recover() {
    control_->write8(0, control_reset | control_no_interrupt);
    pass(*time_, reset_pulse_ns);
    control_->write8(0, control_no_interrupt);
    pass(*time_, reset_settle_ns);
    dead_ = !wait_not_busy(reset_timeout_ns);
    multiple_ = {1, 1};
    if (request_ != nullptr) end(BlockStatus::timed_out);
}

void IdeChannel::select(unsigned drive, bool lba, std::uint8_t top_bits) {
    command_->write8(reg::drive, static_cast<std::uint8_t>(drive_fixed | (lba ? drive_lba : 0) | drive << 4 |
                                                           (top_bits & 15u)));
    short_delay();
}

void IdeChannel::issue(unsigned drive, const Command& command) {
    const auto byte = [&](unsigned shift) { return static_cast<std::uint8_t>(command.sector >> shift); };
    select(drive, true, command.lba48 ? std::uint8_t{0} : byte(24));
    if (command.lba48) {
        // Each register is two deep: the first write ends up on top.
        command_->write8(reg::count, static_cast<std::uint8_t>(command.count >> 8));
        command_->write8(reg::lba_low, byte(24));
        command_->write8(reg::lba_mid, byte(32));
        command_->write8(reg::lba_high, byte(40));
    }
    command_->write8(reg::count, static_cast<std::uint8_t>(command.count));
    command_->write8(reg::lba_low, byte(0));
    command_->write8(reg::lba_mid, byte(8));
    command_->write8(reg::lba_high, byte(16));
    command_->write8(reg::command, command.opcode);
    short_delay();
}

void IdeChannel::short_delay() {
    // A drive needs 400 ns until its status is true, which four reads on this bus take.
    for (int i = 0; i < 4; ++i) alternate_status();
}

std::uint8_t IdeChannel::alternate_status() {
    return control_->read8(0);
}

bool IdeChannel::wait_not_busy(std::uint64_t timeout_ns) {
    const std::uint64_t deadline = time_->now_ns() + timeout_ns;
    while ((alternate_status() & status_busy) != 0) {
        if (time_->now_ns() >= deadline) return false;
        time_->relax();
    }
    return true;
}

void IdeChannel::move_block() {
    const std::uint32_t sectors = std::min(sectors_left_, running_.at_once);
    std::size_t left = std::size_t{sectors} * sector_size;
    while (left > 0) {
        const DmaSpan& segment = request_->segments[segment_];
        const std::size_t size = std::min(left, segment.size - segment_offset_);
        const auto memory = segment.bytes().subspan(segment_offset_, size);
        if (running_.data == Command::Data::in)
            command_->read16_repeated(reg::data, memory);
        else
            command_->write16_repeated(reg::data, memory);
        left -= size;
        segment_offset_ += size;
        if (segment_offset_ == segment.size) {
            ++segment_;
            segment_offset_ = 0;
        }
    }
    sectors_left_ -= sectors;
    first_block_ = false;
}

void IdeChannel::end(BlockStatus status) {
    counters_->end(*std::exchange(request_, nullptr), status);
}

BlockStatus IdeChannel::error_status() {
    const std::uint8_t error = command_->read8(reg::error);
    if ((error & error_no_such_sector) != 0) return BlockStatus::out_of_range;
    if ((error & error_aborted) != 0) return BlockStatus::unsupported;
    return BlockStatus::medium_error;
}

}  // namespace exo::guest
