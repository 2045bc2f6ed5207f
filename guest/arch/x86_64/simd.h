#pragma once

namespace exo::guest::arch {

/// Lets threads of this processor use the x87, SSE and, where it has them, AVX and AVX-512 registers (Intel
/// SDM volume 3, 13.1 and 13.5). The others do as the first, so this comes before their start.
void enable_simd();

}  // namespace exo::guest::arch
