#pragma once

#include "guest/sched/switch/simd_format.h"

namespace exo::guest {

/// The floating-point and vector registers of a thread that uses them, while it does not run: all of
/// SimdFormat's registers, MXCSR and the x87 control word. A thread of general registers alone has none.
///
/// Saved and restored at every switch, never by the trap at first use: that lets a thread read another one's
/// registers by speculation (CVE-2018-3665).
class SimdState {
  public:
    /// In the state a new program finds: registers zero, exceptions masked, x87 at extended precision. `area`
    /// has format.bytes bytes, is aligned to SimdFormat::alignment, and belongs to the caller, as does the
    /// format.
    SimdState(const SimdFormat& format, std::byte* area);
    SimdState(const SimdState&) = delete;
    SimdState& operator=(const SimdState&) = delete;

    /// From the registers. Only the thread whose state was restored last on this CPU is saved.
    void save();
    /// Into the registers, all of them: nothing another thread had in them is left. A new thread's initial
    /// state is restored, too, before the thread uses the registers.
    void restore() const;

  private:
    const SimdFormat& format_;
    std::byte* area_;
};

/// Hands the registers over from one thread to the next, around a switch; nullptr is a thread that does not
/// use them.
inline void switch_simd(SimdState* leaving, const SimdState* coming) {
    if (leaving != nullptr) leaving->save();
    if (coming != nullptr) coming->restore();
}

}  // namespace exo::guest
