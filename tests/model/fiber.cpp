#include "fiber.h"

#include <cstdint>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define EXO_MODEL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXO_MODEL_ASAN 1
#endif
#endif

#ifdef EXO_MODEL_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace exo::model {
namespace {

// AddressSanitizer has to be told of every change of stack.
void before_switch([[maybe_unused]] const void* stack, [[maybe_unused]] std::size_t size) {
#ifdef EXO_MODEL_ASAN
    __sanitizer_start_switch_fiber(nullptr, stack, size);
#endif
}
void after_switch([[maybe_unused]] const void** stack, [[maybe_unused]] std::size_t* size) {
#ifdef EXO_MODEL_ASAN
    __sanitizer_finish_switch_fiber(nullptr, stack, size);
#endif
}

/// Frames that were abandoned on the stack have left their marks.
void forget_frames([[maybe_unused]] const void* stack, [[maybe_unused]] std::size_t size) {
#ifdef EXO_MODEL_ASAN
    __asan_unpoison_memory_region(stack, size);
#endif
}

}  // namespace

// swapcontext() would do, but it makes two system calls a switch to save a signal mask that never changes
// here, and an exploration makes millions of switches. Saves the callee-saved registers of System V's x86-64
// ABI.
asm(R"(
    .pushsection .text
    .type exo_model_switch, @function
exo_model_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .type exo_model_begin, @function
exo_model_begin:
    mov %rbx, %rdi
    call *%r12
    ud2
    .popsection
)");
extern "C" void exo_model_switch(void** save_to, void* go_to);
extern "C" void exo_model_begin();

Fiber::Fiber() : stack_(new std::byte[stack_size]) {}

void Fiber::restart(std::function<void()> body) {
    body_ = std::move(body);
    finished_ = false;
    forget_frames(stack_.get(), stack_size);
    // The frame that exo_model_switch() pops: r15 r14 r13 r12 rbx rbp and where to return to. The stack is
    // aligned to 16 bytes in front of the call in exo_model_begin.
    const auto top = reinterpret_cast<std::uintptr_t>(stack_.get() + stack_size) & ~std::uintptr_t{15};
    auto* frame = reinterpret_cast<void**>(top) - 7;
    frame[3] = reinterpret_cast<void*>(&Fiber::enter);
    frame[4] = this;
    frame[5] = nullptr;
    frame[6] = reinterpret_cast<void*>(&exo_model_begin);
    inside_ = frame;
}

void Fiber::enter(Fiber* self) {
    after_switch(&self->outside_stack_, &self->outside_stack_size_);
    self->body_();
    self->finished_ = true;
    self->suspend();
}

void Fiber::resume() {
    before_switch(stack_.get(), stack_size);
    exo_model_switch(&outside_, inside_);
    after_switch(nullptr, nullptr);
}

void Fiber::suspend() {
    before_switch(outside_stack_, outside_stack_size_);
    exo_model_switch(&inside_, outside_);
    after_switch(&outside_stack_, &outside_stack_size_);
}

}  // namespace exo::model
