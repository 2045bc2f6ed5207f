// One run of a scenario under one schedule: x86's memory (a store buffer for each thread, first in first out,
// drained by locked operations) with a check of the C++ orders on top: data that two threads touch must be
// ordered by release and acquire, whatever x86 would forgive.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fiber.h"
#include "vector_clock.h"

namespace exo::model {

struct Thread {
    const char* name;
    std::function<void()> body;
};

/// What a scenario is made of. Built anew for each run, always to the same state.
class World {
  public:
    /// Page-aligned memory at the same address in every run; filled with zeros.
    std::span<std::byte> memory(std::size_t bytes);
    /// Names a word for traces.
    void name(const void* word, std::string text);
    /// At most max_threads of them.
    void thread(const char* name, std::function<void()> body);
    /// Runs once all threads have ended and all stores are visible.
    void finally(std::function<void()> check) { finally_ = std::move(check); }
    /// Something to sleep on: latched, as an interrupt or an eventfd is.
    bool& event() { return events_.emplace_back(false); }

  private:
    friend class Execution;
    std::vector<Thread> threads_;
    std::function<void()> finally_;
    std::deque<bool> events_;
    std::map<const void*, std::string> names_;
    std::size_t used_ = 0;
};
using Scenario = std::function<void(World&)>;

/// A step that the scheduler can choose: a thread goes on to its next access of shared state, or the oldest
/// store in its buffer becomes visible to the others.
struct Choice {
    std::uint8_t thread;
    bool flush;

    bool operator==(const Choice&) const = default;
};

/// At most a step and a flush for each thread.
class Choices {
  public:
    void add(Choice choice) { at_[count_++] = choice; }
    std::size_t size() const { return count_; }
    bool empty() const { return count_ == 0; }
    Choice operator[](std::size_t i) const { return at_[i]; }
    const Choice* begin() const { return at_.data(); }
    const Choice* end() const { return at_.data() + count_; }

  private:
    std::array<Choice, 2 * max_threads> at_;
    std::size_t count_ = 0;
};

enum class Order : std::uint8_t { relaxed, acquire, release, acq_rel, seq_cst };

class Execution {
  public:
    /// Sets the scenario up and runs each thread up to its first access of shared state. `record` keeps a
    /// readable trace.
    Execution(std::vector<Fiber>& fibers, const Scenario& scenario, bool record);
    ~Execution();
    Execution(const Execution&) = delete;
    Execution& operator=(const Execution&) = delete;

    /// The execution whose thread is running now; null while a scenario is set up.
    static Execution* current();

    Choices choices() const;
    void take(Choice choice);
    bool all_finished() const;
    void run_final_check();
    /// What makes two states the same: memory, buffers, clocks, and what each thread has seen so far.
    std::array<std::uint64_t, 2> fingerprint() const;

    const std::optional<std::string>& failure() const { return failure_; }
    void fail(std::string what);
    /// Called by the running thread: fails, and does not come back. Its stack is dropped as it stands, so
    /// nothing on it may own memory then.
    void stop(const char* what);
    /// Says which threads cannot go on, and why.
    std::string describe_blocked() const;
    const std::string& trace() const { return trace_; }

    // Called by the running thread through ModelAtomics and the functions of explorer.h.
    std::uint64_t load(const void* word, std::size_t size, Order order);
    void store(void* word, std::size_t size, std::uint64_t value, Order order);
    std::uint64_t fetch_add(void* word, std::size_t size, std::uint64_t increment);
    bool compare_exchange(void* word, std::size_t size, std::uint64_t& expected, std::uint64_t desired);
    void plain_write(void* to, const void* from, std::size_t size);
    void plain_read(void* to, const void* from, std::size_t size);
    void begin_attempt();
    void wait_for_change();
    void wait_for_event(bool& event);
    void notify_event(bool& event);

  private:
    enum class Status : std::uint8_t { runnable, waits_for_change, waits_for_event, finished };
    struct BufferedStore {
        void* word;
        std::size_t size;
        std::uint64_t value;
        VectorClock clock;
        bool release;
    };
    struct ThreadState {
        const char* name;
        Fiber* fiber;
        Status status = Status::runnable;
        const bool* event = nullptr;
        std::vector<BufferedStore> buffer;  // the oldest first
        VectorClock clock;
        std::uint64_t history = 0;
        std::uint64_t history_before_attempt = 0;
        bool changed_since_attempt = false;
    };
    struct Word {
        explicit Word(const void* where) : address(where) {}

        const void* address;
        std::uint64_t value = 0;  // kept here too: the memory may be a stack frame's that is gone
        VectorClock released;     // what an acquire load of the present value synchronises with
        VectorClock written;      // the last plain write
        VectorClock read;         // plain reads since then
    };

    ThreadState& self() { return threads_[running_]; }
    /// Good until the next one is asked for.
    Word& word_at(const void* address);
    void scheduling_point();
    void remember(std::uint64_t result);
    void commit(std::size_t thread, const BufferedStore& store);
    void drain(std::size_t thread);
    void note(const char* what, const void* word, std::uint64_t value);
    std::string name_of(const void* word) const;

    World world_;
    std::vector<ThreadState> threads_;
    std::vector<Word> words_;  // by address
    std::size_t running_ = 0;
    std::optional<std::string> failure_;
    bool record_;
    bool in_final_check_ = false;
    std::string trace_;
    std::size_t step_ = 0;
};

}  // namespace exo::model
