#pragma once

#include <algorithm>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "vmm/machine/variable_flash.h"

namespace exo::fuzz {

/// Cells that are asked for nothing outside of them, and erased by whole blocks.
struct FlashCells final : vmm::FlashMemory {
    explicit FlashCells(std::size_t size) : content(size, std::byte{0xff}) {}

    std::vector<std::byte> content;
    unsigned programmed = 0;
    unsigned erased = 0;

    std::span<std::byte> bytes() override { return content; }
    void program(std::uint64_t offset, std::span<const std::byte> data) override {
        ++programmed;
        require(!data.empty() && inside(offset, data.size()));
        for (std::size_t i = 0; i < data.size(); ++i) content[offset + i] &= data[i];
    }
    void erase(std::uint64_t offset, std::uint64_t size) override {
        ++erased;
        require(offset % vmm::VariableFlash::block_size == 0 && inside(offset, size));
        std::ranges::fill(std::span(content).subspan(offset, size), std::byte{0xff});
    }

  private:
    bool inside(std::uint64_t offset, std::uint64_t size) const {
        return offset < content.size() && size <= content.size() - offset;
    }
};

}  // namespace exo::fuzz
