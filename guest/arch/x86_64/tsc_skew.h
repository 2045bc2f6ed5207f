#pragma once

#include "guest/arch/x86_64/processor.h"

namespace exo::guest::arch {

/// Compares the time-stamp counter of a processor, which is in `answer_tsc_samples`, with this one's: asks it
/// for its counter again and again, and takes the answer that came back fastest. The counter was read at some
/// moment of that round trip, so half of it bounds the error (as NTP does it, RFC 5905).
TscSkew measure_tsc_skew();

/// The other side: answers until the measurement is over.
void answer_tsc_samples();

}  // namespace exo::guest::arch
