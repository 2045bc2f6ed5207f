#pragma once

#include <cstddef>
#include <span>

#if defined(__SANITIZE_ADDRESS__)
#define EXO_ANNOTATE_FOR_ASAN
#elif defined(__SANITIZE_THREAD__)
#define EXO_ANNOTATE_FOR_TSAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXO_ANNOTATE_FOR_ASAN
#elif __has_feature(thread_sanitizer)
#define EXO_ANNOTATE_FOR_TSAN
#endif
#endif

#ifdef EXO_ANNOTATE_FOR_ASAN
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef EXO_ANNOTATE_FOR_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace exo::guest {

/// What AddressSanitizer and ThreadSanitizer have to be told of a context; one lives beside each, at a fixed
/// address. Without them, as in the kernel, it is empty and does nothing.
///
///     leaving.before_switch_to(coming);
///     switch_context(leaving_context, coming_context);
///     leaving.arrived();                       // and the first thing an entry does, on its own annotation
///
/// The two calls belong into the function that holds the switch: ThreadSanitizer counts calls and returns
/// for each context.
class SwitchAnnotation {
  public:
    SwitchAnnotation() = default;
    SwitchAnnotation(const SwitchAnnotation&) = delete;
    SwitchAnnotation& operator=(const SwitchAnnotation&) = delete;

    /// The context is the thread of the host that calls this.
    void adopt_running();
    /// The context was prepared to run on this stack.
    void created(std::span<std::byte> stack);
    /// The context will not run any more, and does not now: its stack may be used for something else.
    void destroyed();

    void before_switch_to(const SwitchAnnotation& coming);
    /// Instead, when nothing will switch back. The sanitizer's share of this context's frames is freed.
    void before_last_switch_to(const SwitchAnnotation& coming);
    void arrived();

#ifdef EXO_ANNOTATE_FOR_ASAN
  private:
    std::span<std::byte> stack_;
    void* fake_stack_ = nullptr;
#endif
#ifdef EXO_ANNOTATE_FOR_TSAN
  private:
    void* fiber_ = nullptr;
#endif
};

// All of it inlined, so that no return of an annotation is counted for the wrong context.
#define EXO_INLINED [[gnu::always_inline]] inline

#if defined(EXO_ANNOTATE_FOR_ASAN)

inline void SwitchAnnotation::adopt_running() {
    pthread_attr_t attributes;
    void* bottom = nullptr;
    std::size_t size = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &bottom, &size);
    pthread_attr_destroy(&attributes);
    stack_ = {static_cast<std::byte*>(bottom), size};
}
inline void SwitchAnnotation::created(std::span<std::byte> stack) {
    stack_ = stack;
    fake_stack_ = nullptr;
    __lsan_register_root_region(stack.data(), stack.size());
}
inline void SwitchAnnotation::destroyed() {
    __lsan_unregister_root_region(stack_.data(), stack_.size());
    // Frames that were never left have their red zones there still.
    __asan_unpoison_memory_region(stack_.data(), stack_.size());
}
EXO_INLINED void SwitchAnnotation::before_switch_to(const SwitchAnnotation& coming) {
    __sanitizer_start_switch_fiber(&fake_stack_, coming.stack_.data(), coming.stack_.size());
}
EXO_INLINED void SwitchAnnotation::before_last_switch_to(const SwitchAnnotation& coming) {
    __sanitizer_start_switch_fiber(nullptr, coming.stack_.data(), coming.stack_.size());
}
EXO_INLINED void SwitchAnnotation::arrived() {
    __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
}

#elif defined(EXO_ANNOTATE_FOR_TSAN)

inline void SwitchAnnotation::adopt_running() {
    fiber_ = __tsan_get_current_fiber();
}
inline void SwitchAnnotation::created(std::span<std::byte>) {
    fiber_ = __tsan_create_fiber(0);
}
inline void SwitchAnnotation::destroyed() {
    __tsan_destroy_fiber(fiber_);
}
EXO_INLINED void SwitchAnnotation::before_switch_to(const SwitchAnnotation& coming) {
    __tsan_switch_to_fiber(coming.fiber_, 0);
}
EXO_INLINED void SwitchAnnotation::before_last_switch_to(const SwitchAnnotation& coming) {
    __tsan_switch_to_fiber(coming.fiber_, 0);
}
EXO_INLINED void SwitchAnnotation::arrived() {}

#else

inline void SwitchAnnotation::adopt_running() {}
inline void SwitchAnnotation::created(std::span<std::byte>) {}
inline void SwitchAnnotation::destroyed() {}
EXO_INLINED void SwitchAnnotation::before_switch_to(const SwitchAnnotation&) {}
EXO_INLINED void SwitchAnnotation::before_last_switch_to(const SwitchAnnotation&) {}
EXO_INLINED void SwitchAnnotation::arrived() {}

#endif
#undef EXO_INLINED

}  // namespace exo::guest
