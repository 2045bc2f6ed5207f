// What a switch writes for the context it leaves.
#pragma once

#include "tests/bench/switch/patterns.h"

namespace exo::bench {

/// Bytes of the context itself, and of what the switch pushes beside it; what the compiler spills around an
/// inlined switch depends on the caller and is not among them.
template <class Context>
class SavedBytes {
  public:
    static Run run(Stage&) {
        prepare(partner_, partner_stack(), be_partner, nullptr);
        std::uint64_t before = 0;
        asm volatile("movq %%rsp, %0" : "=r"(before));
        switch_context(home_, partner_, nullptr);
        const std::uint64_t pushed = before - stack_then_;
        return {sizeof(Context) + pushed, 1, pushed < 256};
    }

  private:
    static void be_partner(void*, void*) {
        for (;;) {
            stack_then_ = as_number(home_.stack_pointer);
            switch_context(partner_, home_, nullptr);
        }
    }

    static inline Context home_;
    static inline Context partner_;
    static inline std::uint64_t stack_then_ = 0;
};

}  // namespace exo::bench
