// The vector registers of threads that use them: kept, clean at the start, and never another thread's.
#include "guest/sched/switch/simd_state.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "guest/sched/switch/vector_clobbers.h"
#include "tests/unit/sched_switch/partner.h"

namespace exo::guest {
namespace {

using Method = SimdFormat::Method;

/// What is in the registers that SSE and x87 brought, as FXSAVE writes it (Intel SDM volume 1, table 10-2).
struct alignas(64) Registers {
    std::uint16_t control_word, status_word;
    std::uint8_t tag_word, reserved;
    std::uint16_t opcode;
    std::uint64_t instruction_pointer, operand_pointer;
    std::uint32_t mxcsr, mxcsr_mask;
    std::array<std::array<std::uint8_t, 16>, 8> st;
    std::array<std::array<std::uint8_t, 16>, 16> xmm;
    std::array<std::uint8_t, 96> unused;
};
static_assert(sizeof(Registers) == 512);

constexpr std::uint32_t initial_mxcsr = 0x1f80;
constexpr std::uint16_t initial_control_word = 0x37f;
/// Rounding toward zero, denormals are zero, flush to zero, all masked.
constexpr std::uint32_t other_mxcsr = 0xffc0;
/// Single precision, rounding down, all masked.
constexpr std::uint16_t other_control_word = 0x47f;

/// Puts a pattern of `seed` into every vector register and the x87 stack, changes MXCSR and the control word;
/// then runs the hook with that; then notes what is in the registers. One statement, so that no code of the
/// compiler's comes between, and puts the two control registers back for the test's own code.
struct Experiment {
    alignas(64) std::array<std::array<std::uint8_t, 32>, 16> before{};
    alignas(64) std::array<std::array<std::uint8_t, 32>, 16> after{};
    Registers registers{};
    void (*hook)(void*) = nullptr;
    void* argument = nullptr;
    std::uint32_t mxcsr = other_mxcsr;
    std::uint16_t control_word = other_control_word;
};
static_assert(offsetof(Experiment, before) == 0 && offsetof(Experiment, after) == 512);
static_assert(offsetof(Experiment, registers) == 1024 && offsetof(Experiment, hook) == 1536);
static_assert(offsetof(Experiment, argument) == 1544 && offsetof(Experiment, mxcsr) == 1552);
static_assert(offsetof(Experiment, control_word) == 1556);

extern "C" void exo_test_run_experiment(Experiment* experiment);
asm(R"(
    .pushsection .text
    .macro exo_each_ymm instruction
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    \instruction \i
    .endr
    .endm
    .macro exo_load i
    vmovups (32 * \i)(%rdi), %ymm\i
    .endm
    .macro exo_store i
    vmovups %ymm\i, (512 + 32 * \i)(%rbx)
    .endm
    .globl exo_test_run_experiment
exo_test_run_experiment:
    pushq %rbx
    subq $16, %rsp
    stmxcsr (%rsp)
    fnstcw 8(%rsp)
    movq %rdi, %rbx
    exo_each_ymm exo_load
    fninit
    fldpi
    fldl2e
    ldmxcsr 1552(%rdi)
    fldcw 1556(%rdi)
    movq 1544(%rbx), %rdi
    callq *1536(%rbx)
    fxsave64 1024(%rbx)
    exo_each_ymm exo_store
    fninit
    ldmxcsr (%rsp)
    fldcw 8(%rsp)
    vzeroupper
    addq $16, %rsp
    popq %rbx
    retq
    .popsection
)");

class SimdStateTest : public testing::TestWithParam<Method> {
  public:
    void SetUp() override {
#ifdef EXO_ANNOTATE_FOR_TSAN
        GTEST_SKIP() << "ThreadSanitizer's calls at each return use the registers themselves";
#endif
        if (!__builtin_cpu_supports("avx")) GTEST_SKIP() << "the tests need AVX";
        const auto found = SimdFormat::of_this_cpu(GetParam());
        if (!found) GTEST_SKIP() << "this processor has no such method";
        format = *found;
        for (auto& area : areas) {
            area.resize(format.bytes + SimdFormat::alignment);
            // What was there before must not matter.
            std::fill(area.begin(), area.end(), std::byte{0xee});
        }
        std::uint8_t next = 1;
        for (auto& lane : experiment.before)
            for (std::uint8_t& byte : lane) byte = next++;
    }

    std::byte* aligned_area(std::size_t number) {
        void* start = areas[number].data();
        std::size_t space = areas[number].size();
        return static_cast<std::byte*>(std::align(SimdFormat::alignment, format.bytes, start, space));
    }

    /// FXSAVE knows the lower halves alone.
    std::size_t kept_bytes() const { return format.method == Method::fxsave ? 16 : 32; }
    void expect_vectors_kept() const {
        for (std::size_t i = 0; i < 16; ++i)
            EXPECT_EQ(std::memcmp(&experiment.before[i], &experiment.after[i], kept_bytes()), 0)
                << "register " << i;
    }
    void expect_vectors_zero() const {
        constexpr std::array<std::uint8_t, 32> zero{};
        for (std::size_t i = 0; i < 16; ++i)
            EXPECT_EQ(std::memcmp(&zero, &experiment.after[i], kept_bytes()), 0) << "register " << i;
    }

    SimdFormat format;
    std::vector<std::byte> areas[2];
    Experiment experiment;
};

struct Threads {
    SimdState& mine;
    SimdState& other;
};

[[gnu::noinline]] void trash_vectors() {
    asm volatile(
        "vpcmpeqd %%xmm0, %%xmm0, %%xmm0\n\t"
        "vinsertf128 $1, %%xmm0, %%ymm0, %%ymm0\n\t"
        ".irp i, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
        "vmovaps %%ymm0, %%ymm\\i\n\t"
        ".endr\n\t"
        "fninit\n\tfldz\n\tfld1\n\tfldz\n\tfld1\n\tfldz\n\tfld1\n\tfldz\n\tfld1"
        :
        :
        : "memory", EXO_VECTOR_CLOBBERS);
    const std::uint32_t mxcsr = 0x3f80;
    const std::uint16_t control_word = 0xf7f;
    asm volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(control_word));
}

TEST_P(SimdStateTest, EverythingIsKeptWhileAnotherThreadTrashesIt) {
    SimdState mine(format, aligned_area(0));
    SimdState other(format, aligned_area(1));
    Threads threads{mine, other};
    experiment.argument = &threads;
    experiment.hook = [](void* argument) {
        auto& [a, b] = *static_cast<Threads*>(argument);
        for (int i = 0; i < 3; ++i) {
            switch_simd(&a, &b);
            trash_vectors();
            switch_simd(&b, &a);
        }
    };
    exo_test_run_experiment(&experiment);
    expect_vectors_kept();
    EXPECT_EQ(experiment.registers.mxcsr, other_mxcsr);
    EXPECT_EQ(experiment.registers.control_word, other_control_word);
    EXPECT_EQ(experiment.registers.tag_word, 0xc0);  // two values on the x87 stack
    // log2(e) and pi as the x87 holds them.
    EXPECT_EQ(experiment.registers.st[0][9], 0x3f);
    EXPECT_EQ(experiment.registers.st[0][7], 0xb8);
    EXPECT_EQ(experiment.registers.st[1][9], 0x40);
    EXPECT_EQ(experiment.registers.st[1][7], 0xc9);
}

TEST_P(SimdStateTest, ANewThreadSeesNothingOfTheLastOne) {
    SimdState mine(format, aligned_area(0));
    SimdState fresh(format, aligned_area(1));
    Threads threads{mine, fresh};
    experiment.argument = &threads;
    experiment.hook = [](void* argument) {
        auto& [a, b] = *static_cast<Threads*>(argument);
        switch_simd(&a, &b);
    };
    exo_test_run_experiment(&experiment);
    expect_vectors_zero();
    EXPECT_EQ(experiment.registers.mxcsr, initial_mxcsr);
    EXPECT_EQ(experiment.registers.control_word, initial_control_word);
    EXPECT_EQ(experiment.registers.status_word, 0);
    EXPECT_EQ(experiment.registers.tag_word, 0);
    EXPECT_EQ(experiment.registers.instruction_pointer, 0u);
    EXPECT_EQ(experiment.registers.operand_pointer, 0u);
    for (const auto& value : experiment.registers.st)
        for (const std::uint8_t byte : value) EXPECT_EQ(byte, 0);
}

TEST_P(SimdStateTest, AProcessorThatLeavesX87PointersGivesThemOverwritten) {
    format.leaves_x87_pointers = true;
    SimdState mine(format, aligned_area(0));
    SimdState other(format, aligned_area(1));
    Threads threads{mine, other};
    experiment.argument = &threads;
    experiment.hook = [](void* argument) {
        auto& [a, b] = *static_cast<Threads*>(argument);
        switch_simd(&a, &b);
        trash_vectors();  // fills the x87 stack: one more value would overflow it
        switch_simd(&b, &a);
    };
    exo_test_run_experiment(&experiment);
    expect_vectors_kept();
    EXPECT_EQ(experiment.registers.tag_word, 0xc0);
}

TEST_P(SimdStateTest, TheAreaEndsWhereItSays) {
    std::byte* const area = aligned_area(0);
    SimdState mine(format, area);
    mine.restore();
    trash_vectors();
    mine.save();
    SimdState(format, aligned_area(1)).restore();
    const std::byte* const end = areas[0].data() + areas[0].size();
    for (const std::byte* at = area + format.bytes; at < end; ++at) ASSERT_EQ(*at, std::byte{0xee});
}

/// Two threads with control registers of their own, switched as threads are.
TEST_P(SimdStateTest, EachThreadRoundsAsItWantsTo) {
    struct Thread {
        SimdState mine, other;
    } states{{format, aligned_area(0)}, {format, aligned_area(1)}};
    Partner<WindowedContext> partner(
        [](auto& self, void*) {
            const std::uint32_t toward_zero = initial_mxcsr | 3 << 13;
            asm volatile("ldmxcsr %0" : : "m"(toward_zero));
            auto& both = *static_cast<Thread*>(self.data);
            for (;;) {
                switch_simd(&both.other, &both.mine);
                self.leave();
                std::uint32_t now;
                asm volatile("stmxcsr %0" : "=m"(now));
                if ((now & 3 << 13) != 3 << 13) std::abort();
            }
        },
        &states);
    states.mine.restore();
    for (int i = 0; i < 10; ++i) {
        switch_simd(&states.mine, &states.other);
        partner.visit();
        std::uint32_t now;
        asm volatile("stmxcsr %0" : "=m"(now));
        ASSERT_EQ(now & 3 << 13, 0u);
    }
}

std::string name_of(const testing::TestParamInfo<Method>& test) {
    constexpr const char* names[] = {"Fxsave", "Xsave", "Xsaveopt", "Xsavec"};
    return names[static_cast<std::size_t>(test.param)];
}
INSTANTIATE_TEST_SUITE_P(Methods, SimdStateTest,
                         testing::Values(Method::fxsave, Method::xsave, Method::xsaveopt, Method::xsavec),
                         name_of);

TEST(SimdFormatTest, TheBestMethodIsTaken) {
    const SimdFormat best = SimdFormat::of_this_cpu();
    for (const Method better : {Method::xsavec, Method::xsaveopt, Method::xsave, Method::fxsave}) {
        if (best.method == better) break;
        EXPECT_FALSE(SimdFormat::of_this_cpu(better)) << "a better method was left";
    }
    EXPECT_GE(best.bytes, 512u);
    EXPECT_EQ(best.components & 3, 3u);
    EXPECT_EQ(best.components & ~std::uint64_t{0xe7}, 0u);
}

}  // namespace
}  // namespace exo::guest
