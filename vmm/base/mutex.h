#pragma once

#include <mutex>

#include "shared/platform/thread_safety.h"

namespace exo::vmm {

/// std::mutex that clang's thread-safety analysis knows. A condition is waited for by a
/// std::condition_variable_any on the mutex itself, in a loop: the analysis does not see into a predicate.
class EXO_THREAD_SAFETY(capability("mutex")) Mutex {
  public:
    void lock() EXO_THREAD_SAFETY(acquire_capability()) { mutex_.lock(); }
    void unlock() EXO_THREAD_SAFETY(release_capability()) { mutex_.unlock(); }

  private:
    std::mutex mutex_;
};

/// Holds a mutex for as long as it lives.
class EXO_THREAD_SAFETY(scoped_lockable) MutexLock {
  public:
    explicit MutexLock(Mutex& mutex) EXO_THREAD_SAFETY(acquire_capability(mutex)) : mutex_(mutex) {
        mutex_.lock();
    }
    ~MutexLock() EXO_THREAD_SAFETY(release_capability()) { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

  private:
    Mutex& mutex_;
};

}  // namespace exo::vmm
