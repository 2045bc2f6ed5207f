#include "tests/fuzz/flash_cells.h"

/// Any sequence of accesses to the variable flash: it stays inside its cells, a cell's bits are set by
/// erasing alone, and the slot is away exactly while the status is read. Input: 4 bytes an access: what,
/// width, offset.
namespace exo::vmm {
namespace {

using fuzz::require;

constexpr std::uint64_t size = 2 * VariableFlash::block_size + 100;  // the last block is cut off

struct Mapping final : FlashMapping {
    bool visible = true;
    void show_array(bool now) override {
        require(now != visible);
        visible = now;
    }
};

}  // namespace
}  // namespace exo::vmm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t length) {
    using namespace exo::vmm;
    using exo::fuzz::require;
    exo::fuzz::FlashCells cells(size);
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
        require(mapping.visible == (flash.state().mode != Mode::status));
        require(cells.programmed == programmed || before.mode == Mode::program);
        require(cells.erased == erased || before.mode == Mode::erase);
        if ((data[1] & 0x80) != 0 && before.mode == Mode::status)
            require(access.front() == std::byte{before.status});
    }
    return 0;
}
