#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "guest/arch/arch.h"
#include "guest/kernel/selftest.h"
#include "guest/kernel/services.h"
#include "guest/memory/frame_allocator.h"
#include "guest/memory/memory_statistics.h"

namespace exo::guest {
namespace {

bool is_filled(std::span<const std::byte> memory, std::byte value) {
    return std::ranges::all_of(memory, [&](std::byte b) { return b == value; });
}

void frames_are_distinct_and_come_back(TestReport& report) {
    DmaMemory& dma = services().dma;
    const std::uint64_t before = memory_statistics().free;
    {
        std::array<DmaBuffer, 32> taken;
        for (std::size_t i = 0; i < taken.size(); ++i) {
            auto buffer = DmaBuffer::allocate(dma, (1 + i % 4) * frame_size);
            if (!report.expect(buffer.has_value(), "there is no frame left")) return;
            taken[i] = std::move(*buffer);
            std::ranges::fill(taken[i].span().bytes(), static_cast<std::byte>(i));
        }
        for (std::size_t i = 0; i < taken.size(); ++i)
            report.expect(is_filled(taken[i].span().bytes(), static_cast<std::byte>(i)),
                          "two allocations share a frame");
    }
    report.expect_equal(memory_statistics().free, before, "free memory, after all was given back");
}

void buffers_for_devices_are_zeroed_and_contiguous(TestReport& report) {
    for (int round = 0; round < 2; ++round) {
        auto buffer = DmaBuffer::allocate(services().dma, 5 * frame_size + 1);
        if (!report.expect(buffer.has_value(), "there is no memory for devices")) return;
        const std::span<std::byte> bytes = buffer->span().bytes();
        report.expect(bytes.size() > 5 * frame_size, "a buffer is smaller than asked for");
        report.expect_equal(buffer->physical() % frame_size, 0u, "a buffer is off its page by");
        report.expect(is_filled(bytes, std::byte{}), "a buffer is not zeroed");
        const std::size_t last = bytes.size() - 1;
        report.expect(arch::memory_at(buffer->physical() + last) == &bytes[last],
                      "a buffer is not contiguous");
        std::ranges::fill(bytes, std::byte{0xa5});
    }
}

constexpr SelfTest tests[] = {
    {"memory: frames are distinct and come back", frames_are_distinct_and_come_back},
    {"memory: buffers for devices are zeroed and contiguous", buffers_for_devices_are_zeroed_and_contiguous},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
