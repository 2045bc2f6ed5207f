#include "tests/bench/block/block_load.h"

#include <algorithm>

#include "guest/drivers/block/block_io.h"

namespace exo::bench {
namespace {

constexpr std::size_t largest_request = 64 * 1024;
/// Shorter pauses are spun: a sleep would end too late.
constexpr std::uint64_t shortest_sleep_ns = 300'000;
constexpr std::uint64_t early_ns = 150'000;

struct CpuTimes {
    std::uint64_t thread = read_clock(CLOCK_THREAD_CPUTIME_ID);
    std::uint64_t process = read_clock(CLOCK_PROCESS_CPUTIME_ID);
};

void sleep_for(std::uint64_t ns) {
    const timespec time{static_cast<time_t>(ns / guest::ns_per_s), static_cast<long>(ns % guest::ns_per_s)};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

}  // namespace

LoadShape shape_for(double rate, std::chrono::nanoseconds delay) {
    // Beside the device's time there is the I/O thread's and that of both wake-ups.
    constexpr double other_ns = 30'000;
    const double needed = rate * (static_cast<double>(delay.count()) + other_ns) / 1e9;
    LoadShape shape{.rate = rate};
    while (shape.depth < needed && shape.depth < BlockLoad::most_depth) shape.depth *= 2;
    return shape;
}

void LoadResult::add(const LoadResult& other) {
    latencies.insert(latencies.end(), other.latencies.begin(), other.latencies.end());
    std::ranges::sort(latencies);
    elapsed_ns += other.elapsed_ns;
    guest_cpu_ns += other.guest_cpu_ns;
    device_cpu_ns += other.device_cpu_ns;
    interrupts += other.interrupts;
    doorbells += other.doorbells;
    ok = ok && other.ok;
}

std::uint32_t LoadResult::latency_ns(std::uint32_t parts) const {
    if (latencies.empty()) return 0;
    const std::size_t rank = std::max<std::size_t>((latencies.size() * parts + 999) / 1'000, 1);
    return latencies[rank - 1];
}

BlockLoad::BlockLoad(BlockMachine& machine, const WaitChoice& choice)
    : machine_(machine),
      moderated_(choice.moderated),
      memory_(machine.memory(most_depth * largest_request)),
      pieces_(most_depth),
      requests_(most_depth) {
    for (guest::BlockRequest& request : requests_) pointers_.push_back(&request);
    machine.disk().set_price(choice.price);
    machine.disk().set_mode(choice.fixed);
}

LoadResult BlockLoad::run(const LoadShape& shape, std::uint64_t duration_ns) {
    LoadResult result;
    const HostedTime& time = machine_.time();
    const guest::BlockQueue& queue = machine_.disk().queue(0);
    const auto gap = static_cast<std::uint64_t>(1e9 * shape.depth / shape.rate);
    for (unsigned i = 0; i < shape.depth; ++i) {
        pieces_[i] = memory_.subspan(i * largest_request, shape.bytes);
        requests_[i].segments = {&pieces_[i], 1};
    }
    result.latencies.reserve(1 << 16);
    const CpuTimes cpu;
    const std::uint64_t interrupts = machine_.interrupts();
    const std::uint64_t doorbells = queue.counters().doorbells;
    const std::uint64_t begin = time.now_ns();
    std::uint64_t paused = 0;
    for (std::uint64_t due = begin; due < begin + duration_ns; due = std::max(due + gap, time.now_ns())) {
        paused += idle_until(due);
        burst(shape, result);
    }
    const CpuTimes end;
    result.elapsed_ns = time.now_ns() - begin;
    const std::uint64_t own = end.thread - cpu.thread;
    result.device_cpu_ns = end.process - cpu.process - std::min(own, end.process - cpu.process);
    result.guest_cpu_ns = own - std::min(own, paused);
    result.interrupts = machine_.interrupts() - interrupts;
    result.doorbells = queue.counters().doorbells - doorbells;
    std::ranges::sort(result.latencies);
    return result;
}

void BlockLoad::burst(const LoadShape& shape, LoadResult& result) {
    const std::span<guest::BlockRequest* const> requests = std::span(pointers_).first(shape.depth);
    for (guest::BlockRequest* request : requests) {
        request->reset();
        request->sector = next_sector(shape);
    }
    const std::uint64_t begin = machine_.time().now_ns();
    submit(requests, shape.singly ? 1 : requests.size());
    for (guest::BlockRequest* request : requests) {
        result.ok = result.ok && wait_for(*request) == guest::BlockStatus::ok;
        if (trace_ != nullptr) trace_->push_back({begin, request->service_ns});
        result.latencies.push_back(static_cast<std::uint32_t>(machine_.time().now_ns() - begin));
    }
}

void BlockLoad::submit(std::span<guest::BlockRequest* const> requests, std::size_t at_once) {
    for (; !requests.empty(); requests = requests.subspan(at_once)) {
        const auto some = requests.first(at_once);
        if (!moderated_) {
            machine_.disk().adaptive_queue(0).submit(some);
            continue;
        }
        guest::BlockQueue& queue = machine_.disk().queue(0);
        const guest::Locked guard(queue.lock());
        // There are fewer requests than any queue holds.
        static_cast<void>(queue.submit(some));
    }
}

guest::BlockStatus BlockLoad::wait_for(guest::BlockRequest& request) {
    if (!moderated_) return machine_.disk().adaptive_queue(0).wait(request);
    guest::BlockQueue& queue = machine_.disk().queue(0);
    while (!request.done()) {
        const guest::IoPlan plan{.mode = guest::IoMode::batch, .batch = moderation_.profile().completions};
        const std::uint64_t interrupts = machine_.interrupts();
        const std::size_t ended = queue.wait(plan, ~std::uint64_t{0}, machine_.time());
        if (machine_.interrupts() != interrupts) moderation_.interrupted(machine_.time().now_ns(), ended);
    }
    return request.status.load(std::memory_order_acquire);
}

std::uint64_t BlockLoad::next_sector(const LoadShape& shape) {
    const std::uint64_t places = machine_.disk().info().sectors * guest::sector_size / shape.bytes;
    random_ = random_ * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
    const std::uint64_t place = shape.sequential ? position_++ : random_ >> 33;
    return place % places * (shape.bytes / guest::sector_size);
}

std::uint64_t BlockLoad::idle_until(std::uint64_t due_ns) {
    HostedTime& time = machine_.time();
    std::uint64_t used = 0;
    std::uint64_t now = time.now_ns();
    if (now + shortest_sleep_ns < due_ns) {
        const std::uint64_t before = read_clock(CLOCK_THREAD_CPUTIME_ID);
        sleep_for(due_ns - now - early_ns);
        used = read_clock(CLOCK_THREAD_CPUTIME_ID) - before;
        now = time.now_ns();
    }
    const std::uint64_t begin = now;
    for (; now < due_ns; now = time.now_ns()) time.relax();
    return used + (now - begin);
}

}  // namespace exo::bench
