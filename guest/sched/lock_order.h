#pragma once

#include "guest/arch/spin_lock.h"  // says whether locks are checked

namespace exo::guest {

class Mutex;

/// Finds mutexes that are taken in two orders, which one day end in threads waiting for each other for ever,
/// on the first day that both orders were seen. Debug builds only.
namespace lock_order {

#if EXO_LOCK_CHECKS
/// The running thread is about to wait for it.
void check(const Mutex& mutex);
void acquired(const Mutex& mutex);
void released(const Mutex& mutex);
void forget(const Mutex& mutex);
#else
inline void check(const Mutex&) {}
inline void acquired(const Mutex&) {}
inline void released(const Mutex&) {}
inline void forget(const Mutex&) {}
#endif

}  // namespace lock_order
}  // namespace exo::guest
