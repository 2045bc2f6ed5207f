// The kernel's heap, whichever it is built with, tested on the machine that it runs on.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "guest/kernel/selftest.h"
#include "guest/memory/kernel_memory.h"

namespace exo::guest {
namespace {

/// Pseudo-random numbers, the same in every run.
class Random {
  public:
    std::uint64_t below(std::uint64_t limit) {
        state_ = state_ * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
        return (state_ >> 33) % limit;
    }

  private:
    std::uint64_t state_ = 1;
};

struct Piece {
    std::byte* memory = nullptr;
    std::size_t size = 0;
    std::size_t alignment = 1;

    bool allocate() {
        memory = static_cast<std::byte*>(kernel_memory().heap.allocate(size, alignment, 0));
        if (memory != nullptr) std::memset(memory, static_cast<int>(pattern()), size);
        return memory != nullptr;
    }
    bool intact() const {
        return size == 0 || (memory[0] == pattern() && std::memcmp(memory, memory + 1, size - 1) == 0);
    }
    void free() {
        kernel_memory().heap.free(memory, size, alignment, 0);
        memory = nullptr;
    }
    std::byte pattern() const { return static_cast<std::byte>(size * 7 + alignment); }
};

void use_every_size(TestReport& report) {
    for (std::size_t alignment = 1; alignment <= 4'096; alignment *= 4) {
        for (std::size_t size = 0; size < 6'000; size += 1 + size / 16) {
            Piece piece{.size = size, .alignment = alignment};
            if (!report.expect(piece.allocate(), "memory is exhausted")) return;
            const auto address = reinterpret_cast<std::uintptr_t>(piece.memory);
            if (!report.expect(address % alignment == 0, "a piece is not aligned")) return;
            piece.free();
        }
    }
}

void use_at_random(TestReport& report) {
    std::array<Piece, 128> pieces;
    Random random;
    for (int step = 0; step < 3'000; ++step) {
        Piece& piece = pieces[random.below(pieces.size())];
        if (piece.memory != nullptr) {
            if (!report.expect(piece.intact(), "a piece was overwritten")) return;
            piece.free();
        }
        piece.size = random.below(random.below(20) == 0 ? 20'000 : 1'000);
        piece.alignment = std::size_t{1} << random.below(8);
        if (!report.expect(piece.allocate(), "memory is exhausted")) return;
    }
    for (Piece& piece : pieces)
        if (piece.memory != nullptr) piece.free();
}

/// The whole state of the buddy after all caches have been emptied, or nothing where there is no buddy.
template <class Heap>
auto free_blocks_of(Heap& heap) {
    if constexpr (requires { heap.trim(); }) {
        heap.trim();
        return heap.statistics().buddy.free_blocks;
    } else {
        return heap.usage().heap_used;
    }
}

constexpr SelfTest sizes{"heap: every size and alignment", use_every_size};
constexpr SelfTest contents{"heap: contents are kept under random use", use_at_random};

constexpr SelfTest returns{"heap: everything comes back to the initial free lists", [](TestReport& report) {
                               KernelHeap& heap = kernel_memory().heap;
                               const auto before = free_blocks_of(heap);
                               const std::uint64_t allocations = heap.usage().heap_allocations;
                               use_at_random(report);
                               report.expect(free_blocks_of(heap) == before, "blocks are missing");
                               report.expect_equal(heap.usage().heap_allocations, allocations, "allocations");
                           }};

constexpr SelfTest operators{
    "heap: new and delete", [](TestReport& report) {
        struct alignas(256) Wide {
            std::byte bytes[300];
        };
        const std::uint64_t before = kernel_memory().heap.usage().heap_allocations;
        {
            const std::unique_ptr<Wide> wide(new (std::nothrow) Wide);
            const std::unique_ptr<int[]> array(new (std::nothrow) int[1'000]);
            report.expect(reinterpret_cast<std::uintptr_t>(wide.get()) % 256 == 0,
                          "an over-aligned object is not aligned");
            report.expect(array != nullptr, "an array was refused");
            report.expect_equal(kernel_memory().heap.usage().heap_allocations, before + 2, "allocations");
        }
        report.expect_equal(kernel_memory().heap.usage().heap_allocations, before, "allocations afterwards");
    }};

/// Frames are held in a list through themselves.
void take_all_memory(TestReport& report) {
    constexpr std::uint64_t chunk = 64;
    FrameAllocator& frames = kernel_memory().frames;
    const std::uint64_t before = frames.free_frames();
    std::uint64_t last = 0;
    while (const auto taken = frames.allocate(chunk)) {
        *reinterpret_cast<std::uint64_t*>(arch::memory_at(*taken)) = last;
        last = *taken;
    }
    Piece large{.size = 512 << 10};
    report.expect(!large.allocate(), "an allocation that cannot be was granted");
    while (last != 0) {
        const std::uint64_t next = *reinterpret_cast<const std::uint64_t*>(arch::memory_at(last));
        if (!report.expect(frames.release(last, chunk).has_value(), "frames cannot be released")) return;
        last = next;
    }
    report.expect(frames.free_frames() >= before, "frames are missing");
    if (report.expect(large.allocate(), "memory does not recover")) large.free();
}
constexpr SelfTest exhaustion{"heap: exhaustion is refused, and passes", take_all_memory};

constexpr SelfTest tests[] = {sizes, contents, returns, operators, exhaustion};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
