#include "execution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace exo::model {
namespace {

constexpr std::size_t arena_size = 64 * 1024;
alignas(4096) std::byte arena[arena_size];

Execution* current_execution = nullptr;

std::uint64_t read_word(const void* word, std::size_t size) {
    std::uint64_t value = 0;
    std::memcpy(&value, word, size);
    return value;
}

/// SplitMix64's finaliser behind a multiplication, which keeps what was added before apart from what is added
/// now: no value that a scenario stores makes a hash forget.
std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
    hash = hash * 0x9fb2'1c65'1e98'df25 + value + 0x9e37'79b9'7f4a'7c15;
    hash = (hash ^ (hash >> 30)) * 0xbf58'476d'1ce4'e5b9;
    hash = (hash ^ (hash >> 27)) * 0x94d0'49bb'1331'11eb;
    return hash ^ (hash >> 31);
}

bool is_acquire(Order order) {
    return order == Order::acquire || order == Order::acq_rel || order == Order::seq_cst;
}
bool is_release(Order order) {
    return order == Order::release || order == Order::acq_rel || order == Order::seq_cst;
}

}  // namespace

std::span<std::byte> World::memory(std::size_t bytes) {
    const std::size_t rounded = (bytes + 4095) / 4096 * 4096;
    if (used_ + rounded > arena_size) throw std::bad_alloc();
    const std::span<std::byte> part(arena + used_, rounded);
    used_ += rounded;
    std::fill(part.begin(), part.end(), std::byte{0});
    return part.first(bytes);
}

void World::name(const void* word, std::string text) {
    names_[word] = std::move(text);
}

void World::thread(const char* name, std::function<void()> body) {
    threads_.push_back({name, std::move(body)});
}

Execution::Execution(std::vector<Fiber>& fibers, const Scenario& scenario, bool record) : record_(record) {
    scenario(world_);
    for (std::size_t i = 0; i < world_.threads_.size(); ++i) {
        fibers.at(i).restart(world_.threads_[i].body);
        ThreadState state;
        state.name = world_.threads_[i].name;
        state.fiber = &fibers[i];
        state.clock.at[i] = 1;
        threads_.push_back(std::move(state));
    }
    // Up to the first access of shared state, what a thread does is its own affair.
    for (std::size_t i = 0; i < threads_.size(); ++i) take({static_cast<std::uint8_t>(i), false});
}

Execution::~Execution() = default;

Execution* Execution::current() {
    return current_execution;
}

Choices Execution::choices() const {
    Choices found;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        const ThreadState& thread = threads_[i];
        const bool can_run = thread.status == Status::runnable ||
                             (thread.status == Status::waits_for_change && thread.changed_since_attempt) ||
                             (thread.status == Status::waits_for_event && *thread.event);
        if (can_run) found.add({static_cast<std::uint8_t>(i), false});
        if (!thread.buffer.empty()) found.add({static_cast<std::uint8_t>(i), true});
    }
    return found;
}

void Execution::take(Choice choice) {
    ThreadState& thread = threads_[choice.thread];
    if (choice.flush) {
        const BufferedStore store = thread.buffer.front();
        thread.buffer.erase(thread.buffer.begin());
        running_ = choice.thread;
        note("store becomes visible", store.word, store.value);
        commit(choice.thread, store);
        return;
    }
    running_ = choice.thread;
    thread.status = Status::runnable;
    current_execution = this;
    thread.fiber->resume();
    current_execution = nullptr;
    if (thread.fiber->finished()) thread.status = Status::finished;
}

bool Execution::all_finished() const {
    return std::all_of(threads_.begin(), threads_.end(), [](const ThreadState& thread) {
        return thread.status == Status::finished && thread.buffer.empty();
    });
}

void Execution::run_final_check() {
    if (!world_.finally_) return;
    in_final_check_ = true;
    current_execution = this;
    world_.finally_();
    current_execution = nullptr;
}

std::array<std::uint64_t, 2> Execution::fingerprint() const {
    std::array<std::uint64_t, 2> hash = {0x1234'5678'9abc'def1, 0xfedc'ba98'7654'3210};
    const auto add = [&](std::uint64_t value) {
        hash[0] = mix(hash[0], value);
        hash[1] = mix(hash[1], value + 0x5851'f42d'4c95'7f2d);
    };
    const auto add_clock = [&](const VectorClock& clock) {
        std::uint64_t packed;
        static_assert(sizeof(packed) == sizeof(clock));
        std::memcpy(&packed, &clock, sizeof(packed));
        add(packed);
    };
    for (const ThreadState& thread : threads_) {
        add(thread.history);
        add((std::uint64_t{thread.changed_since_attempt} << 8) | static_cast<std::uint64_t>(thread.status));
        add_clock(thread.clock);
        add(thread.buffer.size());
        for (const BufferedStore& store : thread.buffer) {
            add(reinterpret_cast<std::uintptr_t>(store.word));
            add(store.value);
            add_clock(store.clock);
        }
    }
    for (const bool event : world_.events_) add(event);
    for (const Word& word : words_) {
        add(reinterpret_cast<std::uintptr_t>(word.address));
        add(word.value);
        add_clock(word.released);
        add_clock(word.written);
        add_clock(word.read);
    }
    return hash;
}

void Execution::fail(std::string what) {
    if (!failure_) failure_ = std::move(what);
}

void Execution::stop(const char* what) {
    fail(in_final_check_ ? what : fmt::format("{}: {}", self().name, what));
    scheduling_point();
}

std::string Execution::describe_blocked() const {
    std::string text;
    for (const ThreadState& thread : threads_) {
        if (thread.status == Status::waits_for_change)
            text += fmt::format("{} waits for a change; ", thread.name);
        if (thread.status == Status::waits_for_event) text += fmt::format("{} sleeps; ", thread.name);
    }
    return text;
}

/// Back to the scheduler, which decides who makes the next visible step. After a failure nothing goes on.
void Execution::scheduling_point() {
    if (in_final_check_) return;
    do {
        self().fiber->suspend();
    } while (failure_);
}

void Execution::remember(std::uint64_t result) {
    self().history = mix(self().history, result);
}

Execution::Word& Execution::word_at(const void* address) {
    auto at = std::lower_bound(words_.begin(), words_.end(), address,
                               [](const Word& word, const void* wanted) { return word.address < wanted; });
    if (at == words_.end() || at->address != address) at = words_.insert(at, Word(address));
    return *at;
}

std::uint64_t Execution::load(const void* word, std::size_t size, Order order) {
    scheduling_point();
    ThreadState& thread = self();
    Word& shared = word_at(word);
    shared.value = read_word(word, size);
    const auto own = std::find_if(thread.buffer.rbegin(), thread.buffer.rend(),
                                  [&](const BufferedStore& store) { return store.word == word; });
    const std::uint64_t value = own != thread.buffer.rend() ? own->value : shared.value;
    if (own == thread.buffer.rend() && is_acquire(order)) thread.clock.join(shared.released);
    remember(value);
    note("loads", word, value);
    return value;
}

void Execution::store(void* word, std::size_t size, std::uint64_t value, Order order) {
    // A store into the own buffer is seen by nobody: only a locked one is a step of its own.
    if (order == Order::seq_cst) scheduling_point();
    ThreadState& thread = self();
    thread.buffer.push_back({word, size, value, thread.clock, is_release(order)});
    if (is_release(order)) ++thread.clock.at[running_];
    note(order == Order::seq_cst ? "stores, drained," : "stores into its buffer", word, value);
    if (order == Order::seq_cst) drain(running_);
    remember(value);
}

std::uint64_t Execution::fetch_add(void* word, std::size_t size, std::uint64_t increment) {
    scheduling_point();
    drain(running_);
    ThreadState& thread = self();
    const std::uint64_t before = read_word(word, size);
    thread.clock.join(word_at(word).released);
    const VectorClock clock = thread.clock;  // with that: a read-modify-write continues the release sequence
    ++thread.clock.at[running_];
    note("adds to", word, before);
    commit(running_, {word, size, before + increment, clock, true});
    remember(before);
    return before;
}

bool Execution::compare_exchange(void* word, std::size_t size, std::uint64_t& expected,
                                 std::uint64_t desired) {
    scheduling_point();
    drain(running_);
    ThreadState& thread = self();
    const std::uint64_t found = read_word(word, size);
    Word& shared = word_at(word);
    shared.value = found;
    thread.clock.join(shared.released);
    remember(found);
    if (found != expected) {
        note("fails to exchange", word, found);
        expected = found;
        return false;
    }
    const VectorClock clock = thread.clock;
    ++thread.clock.at[running_];
    note("exchanges", word, desired);
    commit(running_, {word, size, desired, clock, true});
    return true;
}

void Execution::commit(std::size_t thread, const BufferedStore& store) {
    std::memcpy(store.word, &store.value, store.size);
    Word& word = word_at(store.word);
    word.value = read_word(store.word, store.size);
    word.released = store.release ? store.clock : VectorClock{};
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        if (i != thread) threads_[i].changed_since_attempt = true;
    }
}

void Execution::drain(std::size_t thread) {
    for (const BufferedStore& store : threads_[thread].buffer) commit(thread, store);
    threads_[thread].buffer.clear();
}

/// Plain data needs no interleaving: if accesses are ordered, they commute with everything else, and if not,
/// that is the failure.
void Execution::plain_write(void* to, const void* from, std::size_t size) {
    ThreadState& thread = self();
    Word& word = word_at(to);
    if (!thread.clock.covers(word.written) || !thread.clock.covers(word.read))
        fail(
            fmt::format("data race: {} writes {} while another thread may use it", thread.name, name_of(to)));
    word.written = {};
    word.written.at[running_] = thread.clock.at[running_];
    word.read = {};
    std::memcpy(to, from, size);
    word.value = read_word(to, size);
    note("writes", to, word.value);
    if (failure_) scheduling_point();
}

void Execution::plain_read(void* to, const void* from, std::size_t size) {
    ThreadState& thread = self();
    Word& word = word_at(from);
    if (!thread.clock.covers(word.written))
        fail(fmt::format("data race: {} reads {} while another thread may write it", thread.name,
                         name_of(from)));
    word.read.at[running_] = thread.clock.at[running_];
    std::memcpy(to, from, size);
    word.value = read_word(from, size);
    remember(word.value);
    note("reads", from, word.value);
    if (failure_) scheduling_point();
}

void Execution::begin_attempt() {
    self().history_before_attempt = self().history;
    self().changed_since_attempt = false;
}

/// The attempt changed nothing, so the thread is as it was before: it need not be tried again until something
/// changes.
void Execution::wait_for_change() {
    self().history = self().history_before_attempt;
    self().status = Status::waits_for_change;
    scheduling_point();
}

void Execution::wait_for_event(bool& event) {
    self().event = &event;
    self().status = Status::waits_for_event;
    scheduling_point();
    event = false;
    self().event = nullptr;
    remember(1);
    if (record_) trace_ += fmt::format("{:4} {:<10} is woken\n", ++step_, self().name);
}

void Execution::notify_event(bool& event) {
    scheduling_point();
    event = true;
    remember(2);
    if (record_) trace_ += fmt::format("{:4} {:<10} notifies\n", ++step_, self().name);
}

void Execution::note(const char* what, const void* word, std::uint64_t value) {
    if (record_)
        trace_ += fmt::format("{:4} {:<10} {:<24} {:<24} {:#x}\n", ++step_, self().name, what, name_of(word),
                              value);
}

std::string Execution::name_of(const void* word) const {
    const auto found = world_.names_.find(word);
    return found != world_.names_.end() ? found->second : fmt::format("word {}", word);
}

}  // namespace exo::model
