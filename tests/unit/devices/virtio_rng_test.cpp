#include "vmm/devices/virtio_rng.h"

#include <gtest/gtest.h>

#include "tests/unit/devices/virtio_fixture.h"

namespace exo::test {
namespace {

namespace virtio = vmm::virtio;

class VirtioRngTest : public testing::Test {
  protected:
    void make(vmm::VirtioRng::Source source) {
        model.emplace(source);
        device = std::move(*vmm::VirtioPci::create(ram.memory(), *model));
        device->connect_interrupt(0, line);
        driver.emplace(ram, *device);
        driver->set_up(0);
    }
    static void sevens(std::span<std::byte> bytes) { std::ranges::fill(bytes, std::byte{7}); }

    GuestRam ram;
    CountingLine line;
    std::optional<vmm::VirtioRng> model;
    std::unique_ptr<vmm::VirtioPci> device;
    std::optional<VirtioDriver> driver;
    std::uint64_t buffer = ram.allocate(8 * 4096);
};

TEST_F(VirtioRngTest, FillsTheBuffersOfAChain) {
    make(sevens);
    RawQueue& queue = driver->queue();
    queue.describe(0, buffer, 10, virtio::descriptor_next | virtio::descriptor_write, 1);
    queue.describe(1, buffer + 100, 20, virtio::descriptor_write);
    queue.offer(0);
    settle(*device);
    EXPECT_EQ(queue.used_element(0).length, 30u);
    EXPECT_EQ(*ram.at(buffer + 9), std::byte{7});
    EXPECT_EQ(*ram.at(buffer + 10), std::byte{0});
    EXPECT_EQ(*ram.at(buffer + 119), std::byte{7});
    EXPECT_EQ(line.count, 1);
}

TEST_F(VirtioRngTest, GivesNoMoreThanAPageAtATime) {
    make(sevens);
    RawQueue& queue = driver->queue();
    queue.describe(0, buffer, 8 * 4096, virtio::descriptor_write);
    queue.offer(0);
    settle(*device);
    EXPECT_EQ(queue.used_element(0).length, 4096u);
    EXPECT_EQ(*ram.at(buffer + 4096), std::byte{0});
}

TEST_F(VirtioRngTest, ManyChainsTakeSeveralPasses) {
    make(sevens);
    RawQueue& queue = driver->queue();
    queue.describe(0, buffer, 16, virtio::descriptor_write);
    for (int i = 0; i < 40; ++i) queue.offer(0);
    EXPECT_TRUE(device->service()) << "there is more to do";
    settle(*device);
    EXPECT_EQ(queue.used(), 40u);
}

TEST_F(VirtioRngTest, ChainWithNothingToFill) {
    make(sevens);
    RawQueue& queue = driver->queue();
    queue.describe(0, buffer, 16);
    queue.offer(0);
    settle(*device);
    EXPECT_EQ(queue.used_element(0).length, 0u);
}

TEST_F(VirtioRngTest, KernelsBytesAreNoneTwice) {
    std::array<std::byte, 32> one{};
    std::array<std::byte, 32> other{};
    vmm::VirtioRng::from_kernel(one);
    vmm::VirtioRng::from_kernel(other);
    EXPECT_NE(one, other);
}

}  // namespace
}  // namespace exo::test
