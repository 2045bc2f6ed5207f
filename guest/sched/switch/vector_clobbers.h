#pragma once

/// Every x87 and vector register the compiler knows under its present flags, as an assembly statement's list
/// of lost registers continues with them. MMX registers are the x87 ones.
#define EXO_X87_CLOBBERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"
#ifdef __SSE__
#define EXO_SSE_CLOBBERS                                                                                \
    , "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14", "xmm15"
#else
#define EXO_SSE_CLOBBERS
#endif
#ifdef __AVX512F__
#define EXO_AVX512_CLOBBERS                                                                              \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", \
        "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define EXO_AVX512_CLOBBERS
#endif
#define EXO_VECTOR_CLOBBERS EXO_X87_CLOBBERS EXO_SSE_CLOBBERS EXO_AVX512_CLOBBERS
