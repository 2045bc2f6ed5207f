#include <gtest/gtest.h>

#include "tests/unit/kvm/test_machine.h"
#include "vmm/base/state_archive.h"

namespace exo::vmm {
namespace {

using namespace vcpu_exit;

// KVM does not list them. Linux on a restored machine without them takes all of its memory for uncached and
// reserves it.
TEST(VcpuState, MemoryTypeRangesAreRestored) {
    constexpr std::uint16_t port = 0xe0;
    constexpr std::uint16_t enabled_write_back = 0x0c06;
    // mov cx, 2ff; mov ax, c06; cdq; wrmsr; out 80, al; rdmsr; out e0, ax
    const unsigned char code[] = {0xb9, 0xff, 2,    0xb8, 6,    0xc,  0x66, 0x99,
                                  0x0f, 0x30, 0xe6, 0x80, 0x0f, 0x32, 0xe7, port};
    TestMachine saved(code);
    if (!saved.vcpu) GTEST_SKIP() << saved.failure;
    const auto indices = saved.system->msr_indices();
    ASSERT_TRUE(indices) << indices.error().message();
    ASSERT_TRUE(std::holds_alternative<PortWrite>(saved.vcpu->run()));
    StateArchive archive;
    saved.vcpu->exchange_state(archive, *indices);
    ASSERT_TRUE(archive.finish());

    TestMachine restored(code);
    ASSERT_TRUE(restored.vcpu) << restored.failure;
    StateArchive state(archive.saved());
    restored.vcpu->exchange_state(state, *indices);
    const auto done = state.finish();
    ASSERT_TRUE(done) << done.error().message();
    for (int exits = 0; exits < 2; ++exits) {
        const VcpuExit exit = restored.vcpu->run();
        const auto* const write = std::get_if<PortWrite>(&exit);
        ASSERT_NE(write, nullptr) << exit.index();
        if (write->port != port) continue;  // the one at which it was saved
        std::uint16_t told = 0;
        std::memcpy(&told, write->data.data(), sizeof(told));
        EXPECT_EQ(told, enabled_write_back);
        return;
    }
    FAIL() << "it never told";
}

}  // namespace
}  // namespace exo::vmm
