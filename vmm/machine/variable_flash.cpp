#include "vmm/machine/variable_flash.h"

#include <algorithm>
#include <vector>

#include "vmm/machine/io_value.h"

namespace exo::vmm {
namespace {

constexpr std::uint8_t program_byte = 0x10;
constexpr std::uint8_t program_byte_too = 0x40;
constexpr std::uint8_t erase_block = 0x20;
constexpr std::uint8_t erase_confirm = 0xd0;
constexpr std::uint8_t clear_status = 0x50;
constexpr std::uint8_t read_status = 0x70;

}  // namespace

VariableFlash::State VariableFlash::state() const {
    const std::lock_guard lock(mutex_);
    return state_;
}

void VariableFlash::exchange_state(StateArchive& archive) {
    const std::lock_guard lock(mutex_);
    State::Mode mode = state_.mode;
    archive(mode, State::Mode::erase);
    archive(state_.status);
    const auto current = memory_.bytes();
    std::vector<std::byte> cells(current.begin(), current.end());
    archive.raw(cells);
    if (!archive.loading() || archive.failed()) return;
    if (!std::ranges::equal(cells, current)) {
        memory_.erase(0, cells.size());
        memory_.program(0, cells);
    }
    enter(mode);
}

void VariableFlash::read(std::uint64_t offset, std::span<std::byte> data) {
    const std::lock_guard lock(mutex_);
    if (state_.mode == State::Mode::status) {
        std::ranges::fill(data, std::byte{state_.status});
        return;
    }
    put_ones(data);
    const auto cells = memory_.bytes();
    if (offset >= cells.size()) return;
    std::ranges::copy(cells.subspan(offset, std::min<std::uint64_t>(data.size(), cells.size() - offset)),
                      data.begin());
}

std::span<const std::byte> VariableFlash::inside(std::uint64_t offset,
                                                 std::span<const std::byte> data) const {
    const std::uint64_t size = memory_.bytes().size();
    return offset >= size ? data.first(0) : data.first(std::min<std::uint64_t>(data.size(), size - offset));
}

void VariableFlash::write(std::uint64_t offset, std::span<const std::byte> data) {
    data = inside(offset, data);
    if (data.empty()) return;
    const std::lock_guard lock(mutex_);
    const auto first = std::to_integer<std::uint8_t>(data.front());
    switch (state_.mode) {
        case State::Mode::array:
        case State::Mode::status:
            command(first);
            return;
        case State::Mode::program:
            memory_.program(offset, data);
            state_.status |= status_ready;
            break;
        case State::Mode::erase:
            if (first == erase_confirm) {
                const std::uint64_t start = offset / block_size * block_size;
                memory_.erase(start, std::min(block_size, memory_.bytes().size() - start));
                state_.status |= status_ready;
            }
            break;
    }
    enter(State::Mode::array);
}

void VariableFlash::command(std::uint8_t value) {
    switch (value) {
        case program_byte:
        case program_byte_too:
            return enter(State::Mode::program);
        case erase_block:
            return enter(State::Mode::erase);
        case read_status:
            return enter(State::Mode::status);
        case clear_status:
            state_.status = 0;
            break;
        default:
            break;
    }
    enter(State::Mode::array);
}

void VariableFlash::enter(State::Mode mode) {
    const bool was_visible = state_.mode != State::Mode::status;
    const bool visible = mode != State::Mode::status;
    state_.mode = mode;
    if (visible != was_visible) mapping_.show_array(visible);
}

}  // namespace exo::vmm
