// Whatever another context does to the registers, the one that switched finds its own again. Compiled in
// several ways: see CMakeLists.txt.
#include <gtest/gtest.h>

#include <array>

#include "tests/unit/sched_switch/partner.h"

namespace exo::guest {
namespace {

/// Leaves nothing as it was: general registers but the stack pointer, vector registers, x87 stack, arithmetic
/// flags. Saves RBP, which no clobber list may name.
[[gnu::always_inline]] inline void trash_registers() {
    asm volatile(
        "pushq %%rbp\n\t"
        "movq $-0x5a5a5a5b, %%rax\n\t"
        "movq %%rax, %%rbx\n\tmovq %%rax, %%rcx\n\tmovq %%rax, %%rdx\n\tmovq %%rax, %%rsi\n\t"
        "movq %%rax, %%rdi\n\tmovq %%rax, %%rbp\n\tmovq %%rax, %%r8\n\tmovq %%rax, %%r9\n\t"
        "movq %%rax, %%r10\n\tmovq %%rax, %%r11\n\tmovq %%rax, %%r12\n\tmovq %%rax, %%r13\n\t"
        "movq %%rax, %%r14\n\tmovq %%rax, %%r15\n\t"
        "movq %%rax, %%xmm0\n\tmovq %%rax, %%xmm1\n\tmovq %%rax, %%xmm2\n\tmovq %%rax, %%xmm3\n\t"
        "movq %%rax, %%xmm4\n\tmovq %%rax, %%xmm5\n\tmovq %%rax, %%xmm6\n\tmovq %%rax, %%xmm7\n\t"
        "movq %%rax, %%xmm8\n\tmovq %%rax, %%xmm9\n\tmovq %%rax, %%xmm10\n\tmovq %%rax, %%xmm11\n\t"
        "movq %%rax, %%xmm12\n\tmovq %%rax, %%xmm13\n\tmovq %%rax, %%xmm14\n\tmovq %%rax, %%xmm15\n\t"
        "fninit\n\tfldpi\n\tfldpi\n\tfldpi\n\tfldpi\n\tfldpi\n\tfldpi\n\tfldpi\n\tfldpi\n\tfninit\n\t"
        "popq %%rbp\n\t"
        "stc"
        :
        :
        : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
          "cc", "memory", EXO_VECTOR_CLOBBERS);
}

template <class Context>
void adversary(Partner<Context>& self, void*) {
    for (;;) {
        trash_registers();
        self.leave();
    }
}

template <class Context>
class AdversaryTest : public testing::Test {
  public:
    Partner<Context> partner{adversary<Context>};
};
using Forms = testing::Types<WindowedContext, FullContext, ClassicContext>;
TYPED_TEST_SUITE(AdversaryTest, Forms, );

/// Hides where a value comes from.
template <class Value>
[[gnu::always_inline]] inline Value opaque(Value value) {
    asm volatile("" : "+m"(value));
    return value;
}

TYPED_TEST(AdversaryTest, LiveIntegersSurvive) {
    std::uint64_t a = opaque(1ull), b = opaque(2ull), c = opaque(3ull), d = opaque(4ull), e = opaque(5ull),
                  f = opaque(6ull), g = opaque(7ull), h = opaque(8ull), i = opaque(9ull), j = opaque(10ull),
                  k = opaque(11ull), l = opaque(12ull), m = opaque(13ull), n = opaque(14ull),
                  o = opaque(15ull), p = opaque(16ull);
    for (int round = 0; round < 1'000; ++round) {
        a += b, b += c, c += d, d += e, e += f, f += g, g += h, h += i;
        this->partner.visit();
        i += j, j += k, k += l, l += m, m += n, n += o, o += p, p += a % 2;
    }
    std::array<std::uint64_t, 16> x{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    for (int round = 0; round < 1'000; ++round) {
        for (std::size_t at = 0; at < 15; ++at) x[at] += x[at + 1];
        x[15] += x[0] % 2;
    }
    EXPECT_EQ((std::array{a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p}), x);
}

TYPED_TEST(AdversaryTest, LiveFloatingPointSurvives) {
    double a = opaque(1.0), b = opaque(2.0), c = opaque(3.0);
    float d = opaque(4.0f);
    long double e = opaque(5.0L), f = opaque(6.0L);
    for (int round = 0; round < 1'000; ++round) {
        a += b, b += 0.5, c -= 1;
        e += f;
        this->partner.visit();
        d += 1.0f;
        f += 0.25L;
    }
    EXPECT_EQ(a, 1.0 + 2.0 * 1'000 + 0.5 * 999 * 1'000 / 2);
    EXPECT_EQ(b, 502.0);
    EXPECT_EQ(c, -997.0);
    EXPECT_EQ(d, 1'004.0f);
    EXPECT_EQ(e, 5.0L + 6.0L * 1'000 + 0.25L * 999 * 1'000 / 2);
    EXPECT_EQ(f, 256.0L);
}

template <class Context>
[[gnu::noinline, gnu::target("avx2")]] bool wide_vectors_survive(Partner<Context>& partner) {
    typedef std::uint64_t Vector __attribute__((vector_size(32)));
    Vector a = {opaque(1ull), 2, 3, 4}, b = {5, opaque(6ull), 7, 8}, c = {9, 10, opaque(11ull), 12};
    for (int round = 0; round < 1'000; ++round) {
        a += b;
        partner.visit();
        b += c;
    }
    for (unsigned lane = 0; lane < 4; ++lane) {
        const std::uint64_t b0 = 5 + lane, c0 = 9 + lane;
        if (b[lane] != b0 + 1'000 * c0) return false;
        if (a[lane] != 1 + lane + 1'000 * b0 + c0 * 999 * 1'000 / 2) return false;
    }
    return true;
}

TYPED_TEST(AdversaryTest, LiveWideVectorsSurvive) {
    if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "this processor has no AVX2";
    EXPECT_TRUE(wide_vectors_survive(this->partner));
}

/// The switch is all the function does: nothing but the switch itself saves registers for its caller.
template <class Context>
[[gnu::noinline]] void only_switches(Partner<Context>& partner) {
    partner.visit();
}

TYPED_TEST(AdversaryTest, CallersFindTheirCalleeSavedRegisters) {
    struct Registers {
        std::uint64_t rbx = 0x1111, rbp = 0x2222, r12 = 0x3333, r13 = 0x4444, r14 = 0x5555, r15 = 0x6666;
    } registers;
    // The offsets below are Registers'. The stack is aligned by hand, beyond a red zone.
    void (*const call)(Partner<TypeParam>&) = only_switches<TypeParam>;
    asm volatile(
        "pushq %%rbp\n\t"
        "movq %%rsp, %%rax\n\t"
        "subq $32, %%rsp\n\t"
        "andq $-16, %%rsp\n\t"
        "movq %%rax, (%%rsp)\n\t"
        "movq %%rdx, 8(%%rsp)\n\t"
        "movq (%%rdx), %%rbx\n\tmovq 8(%%rdx), %%rbp\n\tmovq 16(%%rdx), %%r12\n\t"
        "movq 24(%%rdx), %%r13\n\tmovq 32(%%rdx), %%r14\n\tmovq 40(%%rdx), %%r15\n\t"
        "callq *%%rcx\n\t"
        "movq 8(%%rsp), %%rdx\n\t"
        "movq %%rbx, (%%rdx)\n\tmovq %%rbp, 8(%%rdx)\n\tmovq %%r12, 16(%%rdx)\n\t"
        "movq %%r13, 24(%%rdx)\n\tmovq %%r14, 32(%%rdx)\n\tmovq %%r15, 40(%%rdx)\n\t"
        "movq (%%rsp), %%rsp\n\t"
        "popq %%rbp"
        :
        : "D"(&this->partner), "c"(call), "d"(&registers)
        : "rax", "rsi", "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory",
          EXO_VECTOR_CLOBBERS);
    EXPECT_EQ(registers.rbx, 0x1111u);
    EXPECT_EQ(registers.rbp, 0x2222u);
    EXPECT_EQ(registers.r12, 0x3333u);
    EXPECT_EQ(registers.r13, 0x4444u);
    EXPECT_EQ(registers.r14, 0x5555u);
    EXPECT_EQ(registers.r15, 0x6666u);
}

/// A leaf function keeps its variables below the stack pointer where it may.
template <class Context>
[[gnu::noinline]] std::uint64_t leaf(Partner<Context>& partner, std::uint64_t seed) {
    std::uint64_t values[12];
    for (std::uint64_t& value : values) {
        value = seed++;
        asm volatile("" : "+m"(value));
    }
    partner.visit();
    std::uint64_t sum = 0;
    for (const std::uint64_t& value : values) {
        asm volatile("" : : "m"(value));
        sum += value;
    }
    return sum;
}

TYPED_TEST(AdversaryTest, ALeafFunctionKeepsItsVariables) {
    EXPECT_EQ(leaf(this->partner, 100), 12u * 100 + 66);
}

/// Its frame is realigned, so that its variables lie at no fixed distance from its caller's.
template <class Context>
[[gnu::noinline]] bool aligned_frame(Partner<Context>& partner) {
    alignas(64) std::array<std::byte, 128> aligned;
    aligned.fill(std::byte{9});
    asm volatile("" : : "r"(&aligned) : "memory");
    partner.visit();
    for (const std::byte byte : aligned)
        if (byte != std::byte{9}) return false;
    return reinterpret_cast<std::uintptr_t>(&aligned) % 64 == 0;
}

TYPED_TEST(AdversaryTest, AFunctionWithOverAlignedLocalsKeepsThem) {
    EXPECT_TRUE(aligned_frame(this->partner));
}

}  // namespace
}  // namespace exo::guest
