// A thread of control that runs only when told to, on a stack of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace exo::model {

/// Runs a function piecewise: resume() runs it to its next suspend(). A fiber that is not finished may be
/// dropped or restarted: its stack is then abandoned, so what it has on the stack must own nothing.
class Fiber {
  public:
    Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    void restart(std::function<void()> body);
    void resume();
    /// Called inside the fiber: back to whoever resumed it.
    void suspend();
    bool finished() const { return finished_; }

  private:
    static constexpr std::size_t stack_size = 256 * 1024;
    static void enter(Fiber* self);

    std::unique_ptr<std::byte[]> stack_;
    std::function<void()> body_;
    void* inside_ = nullptr;   // stack pointer of the fiber while it is suspended
    void* outside_ = nullptr;  // and of the one who resumed it
    const void* outside_stack_ = nullptr;
    std::size_t outside_stack_size_ = 0;
    bool finished_ = true;
};

}  // namespace exo::model
