// Another context for a test to switch to and back from.
#pragma once

#include "guest/sched/switch/classic_context.h"
#include "guest/sched/switch/full_context.h"
#include "guest/sched/switch/switch_annotation.h"
#include "guest/sched/switch/windowed_context.h"
#include "tests/unit/sched_switch/guarded_stack.h"

namespace exo::guest {

/// Runs `body(partner, first_value)` on a stack of its own, piece by piece. Both switches are inlined where
/// they are called, so that each test is a call site of its own.
template <class Context>
class Partner {
  public:
    using Body = void (*)(Partner& self, void* first_value);

    explicit Partner(Body body, void* given = nullptr) : data(given), body_(body) {
        outside_annotation_.adopt_running();
        inside_annotation_.created(stack_.bytes());
        inside_ = prepare_context<Context>(stack_.bytes(), begin, this);
    }
    ~Partner() { inside_annotation_.destroyed(); }
    Partner(const Partner&) = delete;
    Partner& operator=(const Partner&) = delete;

    /// To the partner, until it leaves. Returns what it passed.
    [[gnu::always_inline]] void* visit(void* value = nullptr) {
        outside_annotation_.before_switch_to(inside_annotation_);
        void* const answer = switch_context(outside_, inside_, value);
        outside_annotation_.arrived();
        return answer;
    }
    /// Called inside: back to the test, until its next visit.
    [[gnu::always_inline]] void* leave(void* value = nullptr) {
        inside_annotation_.before_switch_to(outside_annotation_);
        void* const answer = switch_context(inside_, outside_, value);
        inside_annotation_.arrived();
        return answer;
    }

    const GuardedStack& stack() const { return stack_; }
    const Context& inside() const { return inside_; }

    void* data;

  private:
    static void begin(void* self, void* value) {
        auto& partner = *static_cast<Partner*>(self);
        partner.inside_annotation_.arrived();
        partner.body_(partner, value);
        for (;;) partner.leave();
    }

    GuardedStack stack_;
    SwitchAnnotation outside_annotation_;
    SwitchAnnotation inside_annotation_;
    Context outside_;
    Context inside_;
    Body body_;
};

inline void* as_value(std::uintptr_t number) {
    return reinterpret_cast<void*>(number);
}
inline std::uintptr_t as_number(void* value) {
    return reinterpret_cast<std::uintptr_t>(value);
}

}  // namespace exo::guest
