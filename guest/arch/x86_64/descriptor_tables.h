#pragma once

#include <cstddef>
#include <cstdint>

namespace exo::guest::arch {

/// Stacks that the processor switches to by itself, for exceptions that may come when the present one is bad.
enum class InterruptStack : std::uint8_t { double_fault = 1, nmi = 2, machine_check = 3 };

/// 64-bit task state (Intel SDM volume 3, 8.7): only its stacks are used.
struct [[gnu::packed]] TaskState {
    std::uint32_t reserved_0 = 0;
    std::uint64_t privilege_stacks[3] = {};
    std::uint64_t reserved_1 = 0;
    std::uint64_t interrupt_stacks[7] = {};
    std::uint64_t reserved_2 = 0;
    std::uint16_t reserved_3 = 0;
    std::uint16_t io_map = 0;
};
static_assert(sizeof(TaskState) == 104);

/// The segments and the task state of one processor. It lies where it is for as long as the processor runs.
class DescriptorTables {
  public:
    constexpr DescriptorTables() = default;
    DescriptorTables(const DescriptorTables&) = delete;
    DescriptorTables& operator=(const DescriptorTables&) = delete;

    /// From now on the processor uses the memory below `top` as that stack.
    void set_interrupt_stack(InterruptStack stack, std::uintptr_t top) {
        task_.interrupt_stacks[static_cast<unsigned>(stack) - 1] = top;
    }

    /// Makes this processor use them, the interrupt table that all processors share, and `gs_base`.
    void load(std::uint64_t gs_base);

  private:
    void fill_segments();

    TaskState task_;
    std::uint64_t segments_[5] = {};
};

/// Fills the interrupt table with an entry for every vector; before the first `load`.
void fill_interrupt_table();

}  // namespace exo::guest::arch
