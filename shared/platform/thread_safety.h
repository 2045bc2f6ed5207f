#pragma once

/// Clang's thread-safety analysis (-Wthread-safety) checks at build time that what a lock guards is touched
/// only with the lock held. Other compilers do not know the attributes.
///
///     int count_ EXO_THREAD_SAFETY(guarded_by(lock_)) = 0;
///     void add() EXO_THREAD_SAFETY(requires_capability(lock_));
#if defined(__clang__)
#define EXO_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define EXO_THREAD_SAFETY(attribute)
#endif
