#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "vmm/machine/variable_flash.h"

/// Any sequence of accesses to the variable flash: it stays inside its cells, a cell's bits are set by
/// erasing alone, and the slot is away exactly while the status is read. Input: 4 bytes an access: what,
/// width, offset.
namespace exo::vmm {
namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

constexpr std::uint64_t size = 2 * VariableFlash::block_size + 100;  // the last block is cut off

struct Cells final : FlashMemory {
    std::vector<std::byte> content = std::vector<std::byte>(size, std::byte{0xff});
    unsigned programmed = 0;
    unsigned erased = 0;
    std::span<std::byte> bytes() override { return content; }
    void program(std::uint64_t offset, std::span<const std::byte> data) override {
        ++programmed;
        check(!data.empty() && offset < size && data.size() <= size - offset);
        for (std::size_t i = 0; i < data.size(); ++i) content[offset + i] &= data[i];
    }
    void erase(std::uint64_t offset, std::uint64_t length) override {
        ++erased;
        check(offset % VariableFlash::block_size == 0 && offset < size && length <= size - offset);
        std::ranges::fill(std::span(content).subspan(offset, length), std::byte{0xff});
    }
};

struct Mapping final : FlashMapping {
    bool visible = true;
    void show_array(bool now) override {
        check(now != visible);
        visible = now;
    }
};

}  // namespace
}  // namespace exo::vmm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t length) {
    using namespace exo::vmm;
    Cells cells;
    Mapping mapping;
    VariableFlash flash(cells, mapping);
    for (; length >= 4; data += 4, length -= 4) {
        const std::uint64_t offset = (data[2] | std::uint64_t{data[3]} << 8) % (size + 16);
        std::byte buffer[8];
        std::ranges::fill(buffer, std::byte{data[0]});
        const std::span<std::byte> access(buffer, 1 + data[1] % 8);
        const VariableFlash::State before = flash.state();
        const auto [programmed, erased] = std::pair(cells.programmed, cells.erased);
        if ((data[1] & 0x80) != 0)
            flash.read(offset, access);
        else
            flash.write(offset, access);
        using Mode = VariableFlash::State::Mode;
        check(mapping.visible == (flash.state().mode != Mode::status));
        check(cells.programmed == programmed || before.mode == Mode::program);
        check(cells.erased == erased || before.mode == Mode::erase);
        if ((data[1] & 0x80) != 0 && before.mode == Mode::status)
            check(access.front() == std::byte{before.status});
    }
    return 0;
}
