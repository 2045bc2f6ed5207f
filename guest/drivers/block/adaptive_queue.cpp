#include "guest/drivers/block/adaptive_queue.h"

#include <algorithm>

#include "guest/drivers/block/wait_by_plan.h"

namespace exo::guest {

void AdaptiveQueue::submit(std::span<BlockRequest* const> requests) {
    const auto taken_all = [&] {
        requests = requests.subspan(take(requests));
        return requests.empty();
    };
    if (wait_until(taken_all)) return;
    for (BlockRequest* const request : requests) request->finish(BlockStatus::device_failed);
}

BlockStatus AdaptiveQueue::wait(BlockRequest& request) {
    const bool ended = wait_until([&] { return request.done(); });
    // What not even a reset of the device ends was never submitted.
    if (!ended) request.finish(BlockStatus::invalid_request);
    return request.status.load(std::memory_order_acquire);
}

void AdaptiveQueue::wait_any(std::span<BlockRequest* const> requests) {
    static_cast<void>(wait_until([&] {
        return std::ranges::any_of(requests, [](const BlockRequest* request) { return request->done(); });
    }));
}

BlockStatus AdaptiveQueue::run(BlockRequest& request) {
    request.reset();
    BlockRequest* const one[] = {&request};
    submit(one);
    return wait(request);
}

/// Takes requests from the front, with the lock: their number.
std::size_t AdaptiveQueue::take(std::span<BlockRequest* const> requests) {
    const std::size_t known = timed_count_;
    begin(requests);
    const bool gather = controller_.plan().mode == IoMode::batch || stage_.waiting() > 0;
    const std::size_t taken = gather ? stage(requests) : hand_over(requests);
    // The others are begun again when there is room for them.
    for (std::size_t i = requests.size(); i > taken; --i)
        if (timed_count_ > known && timed_[timed_count_ - 1].request == requests[i - 1]) --timed_count_;
    return taken;
}

/// Has the controller choose whose time is to be taken.
void AdaptiveQueue::begin(std::span<BlockRequest* const> requests) {
    for (BlockRequest* const request : requests) {
        if (!controller_.begin() || timed_count_ == most_timed) continue;
        IoTimes& times = trace_.next();
        times.submit = time_.timestamp();
        times.sector = request->sector;
        times.bytes = static_cast<std::uint32_t>(request->bytes());
        times.operation = static_cast<std::uint8_t>(request->operation);
        times.mode = controller_.plan(true).mode;
        request->times = &times;
        timed_[timed_count_++] = {.request = request, .times = &times, .start_ns = time_.now_ns()};
    }
}

/// Holds requests back until they are many, or somebody waits.
std::size_t AdaptiveQueue::stage(std::span<BlockRequest* const> requests) {
    bool at_once = controller_.plan().mode != IoMode::batch;
    std::size_t taken = 0;
    for (; taken < requests.size(); ++taken) {
        BlockRequest& request = *requests[taken];
        if (check_request(disk_.info(), request) != BlockStatus::ok) {
            if (hand_over(requests.subspan(taken, 1)) == 0) break;
            continue;
        }
        if (stage_.waiting() == BatchStage::capacity) hand_over_stage();
        if (!stage_.add(request)) break;
        at_once = at_once || request.urgency == BlockUrgency::urgent;
    }
    if (at_once || stage_.waiting() == BatchStage::capacity) hand_over_stage();
    return taken;
}

void AdaptiveQueue::hand_over_stage() {
    if (stage_.waiting() == 0) return;
    const auto ready = stage_.arrange();
    // Covered before the ends are looked at, which may put requests of failed ones back.
    stage_.handed_over(hand_over(ready));
}

std::size_t AdaptiveQueue::hand_over(std::span<BlockRequest* const> requests) {
    const std::uint64_t rung = queue_.counters().doorbells;
    const std::uint64_t start = timed_count_ > 0 ? time_.now_ns() : 0;
    const std::size_t taken = queue_.submit(requests);
    if (timed_count_ > 0) stamp_handed_over(start, taken, queue_.counters().doorbells != rung);
    return taken;
}

void AdaptiveQueue::stamp_handed_over(std::uint64_t start_ns, std::size_t count, bool rang) {
    const std::uint64_t cpu_ns = (time_.now_ns() - start_ns) / std::max<std::size_t>(count, 1);
    for (Timed& timed : std::span(timed_).first(timed_count_)) {
        if (timed.times->handed_over != 0) continue;
        timed.times->handed_over = time_.timestamp();
        timed.times->doorbell = rang;
        timed.cpu_ns = cpu_ns;
        timed.depth = static_cast<std::uint32_t>(in_device());
    }
}

/// Waits until `done()`, which is asked with the lock held. False when that did not come true although the
/// device was reset twice for it.
template <typename Done>
bool AdaptiveQueue::wait_until(Done done) {
    std::uint64_t deadline = 0;
    for (unsigned recoveries = 0; recoveries < 2;) {
        bool is_done = false;
        if (!becomes_leader(done, is_done)) {
            if (is_done) return true;
            continue;
        }
        if (deadline == 0) deadline = time_.now_ns() + disk_.timeout_ns();
        if (!lead(deadline)) ++recoveries;
    }
    return false;
}

/// Sees whether there is reason to wait. If there is, and another thread looks at the device, sleeps until
/// that one has found something.
template <typename Done>
bool AdaptiveQueue::becomes_leader(Done done, bool& is_done) {
    const Locked guard(queue_.lock());
    is_done = done();
    count_ends(false, 0);
    if (!is_done) {
        hand_over_stage();
        count_ends(false, 0);
        is_done = done();
    }
    if (is_done) {
        // Whoever follows may have to take over.
        if (followers_ > 0 && !is_led_) ended_.notify_all();
        return false;
    }
    if (!is_led_) {
        refresh();
        return is_led_ = true;
    }
    ++followers_;
    ended_.wait(queue_.lock());
    --followers_;
    return false;
}

/// Waits for the device once, for all. False when the deadline has passed: then the device has been reset.
bool AdaptiveQueue::lead(std::uint64_t deadline_ns) {
    IoPlan plan;
    std::uint64_t out = 0;
    {
        const Locked guard(queue_.lock());
        plan = controller_.plan(timed_count_ > 0);
        out = in_device();
        // The device is busy with what is not this queue's, and will not tell when that has ended.
        if (out == 0) reap(false);
    }
    WaitReport report;
    if (out == 0)
        give_way(time_);
    else
        report =
            wait_by_plan(queue_, plan, out, deadline_ns, time_, [this](bool slept) { return reap(slept); });
    const bool in_time = report.ended > 0 || time_.now_ns() < deadline_ns;
    if (!in_time) queue_.recover();
    step_down(report.polls);
    return in_time;
}

void AdaptiveQueue::step_down(std::uint64_t polls) {
    const Locked guard(queue_.lock());
    count_ends(false, 0);
    const BlockQueueCounters& counters = queue_.counters();
    const std::uint64_t interrupts = queue_.watch().count();
    controller_.count({.sleeps = counters.sleeps - counted_.sleeps,
                       .polls = polls,
                       .interrupts = interrupts - counted_.interrupts,
                       .doorbells = counters.doorbells - counted_.doorbells});
    counted_ = {.sleeps = counters.sleeps, .interrupts = interrupts, .doorbells = counters.doorbells};
    is_led_ = false;
    if (followers_ > 0) ended_.notify_all();
}

/// Takes from the device what it has done, with the lock.
std::size_t AdaptiveQueue::reap(bool slept) {
    const std::uint64_t start = timed_count_ > 0 ? time_.now_ns() : 0;
    queue_.poll();
    return count_ends(slept, start);
}

/// Sees what has ended since the last time. No request that has ended is left in `timed_`, since its owner
/// may take it away as soon as the lock is free.
std::size_t AdaptiveQueue::count_ends(bool slept, std::uint64_t poll_ns) {
    const std::uint64_t ended = queue_.counters().completed - counted_ends_;
    if (ended == 0) return 0;
    counted_ends_ += ended;
    controller_.end(ended);
    if (stage_.has_joined()) stage_.collect();
    if (timed_count_ > 0) sample_ended({.slept = slept, .start_ns = poll_ns, .ended = ended});
    return static_cast<std::size_t>(ended);
}

void AdaptiveQueue::sample_ended(const Look& look) {
    bool changed = false;
    std::size_t kept = 0;
    for (const Timed& timed : std::span(timed_).first(timed_count_)) {
        if (timed.request->done())
            changed = sample(timed, look) || changed;
        else
            timed_[kept++] = timed;
    }
    timed_count_ = kept;
    if (changed) plan_changed();
}

/// Tells the controller of one that has ended: true when the plan has changed.
bool AdaptiveQueue::sample(const Timed& timed, const Look& look) {
    IoTimes& times = *timed.times;
    const std::uint64_t now = time_.now_ns();
    times.woken = time_.timestamp();
    const std::uint64_t interrupt = look.slept ? queue_.watch().last_timestamp() : 0;
    if (interrupt > times.submit && interrupt < times.woken) times.interrupt = interrupt;
    if (look.start_ns == 0 || timed.request->status.load(std::memory_order_relaxed) != BlockStatus::ok)
        return false;
    const std::uint64_t here =
        times.interrupt != 0 ? time_.ticks_to_ns(times.woken - times.interrupt) : now - look.start_ns;
    // Whoever owns guest and host pays for what an interrupt costs on both sides.
    const std::uint64_t there = look.slept ? queue_.notification_cost_ns() : 0;
    const IoSample sample{.latency_ns = now - timed.start_ns,
                          .service_ns = timed.request->service_ns,
                          .cpu_ns = timed.cpu_ns + (look.slept ? here + there : here / look.ended),
                          .slept = look.slept,
                          .together = static_cast<std::uint32_t>(look.ended)};
    return controller_.sample(sample, now, timed.depth, Scheduler::ready_here());
}

void AdaptiveQueue::configure(const Controller::Settings& settings) {
    const Locked guard(queue_.lock());
    Controller::Settings own = settings;
    own.has_interrupt = queue_.has_interrupt();
    const IoPlan before = controller_.plan();
    controller_.configure(own, time_.now_ns());
    if (controller_.plan() != before)
        plan_changed();
    else
        queue_.announce(before);
}

/// A driver may find out late that there is an interrupt, or give up on it.
void AdaptiveQueue::refresh() {
    if (controller_.settings().has_interrupt == queue_.has_interrupt()) return;
    Controller::Settings settings = controller_.settings();
    settings.has_interrupt = queue_.has_interrupt();
    controller_.configure(settings, time_.now_ns());
    plan_changed();
}

void AdaptiveQueue::plan_changed() {
    const Observation& seen = controller_.observation();
    decisions_.next() = {.at = time_.timestamp(),
                         .plan = controller_.plan(),
                         .rate = seen.rate,
                         .depth = seen.depth,
                         .service_ns = static_cast<std::uint32_t>(controller_.service().quantile(500)),
                         .interrupt_ns = seen.interrupt_overhead_ns,
                         .runnable = seen.runnable};
    queue_.announce(controller_.plan());
}

AdaptiveQueue::Report AdaptiveQueue::report() {
    const Locked guard(queue_.lock());
    Report report;
    const std::uint64_t now = time_.now_ns();
    for (unsigned mode = 0; mode < io_mode_count; ++mode)
        report.modes[mode] = controller_.statistics(static_cast<IoMode>(mode), now);
    report.seen = controller_.observation();
    report.plan = controller_.plan();
    report.switches = controller_.switches();
    report.service_ns = controller_.service().quantile(500);
    report.counters = queue_.counters();
    report.interrupts = queue_.watch().count();
    report.has_interrupt = queue_.has_interrupt();
    return report;
}

void AdaptiveQueue::copy_trace(IoTrace& trace, IoDecisions& decisions) {
    const Locked guard(queue_.lock());
    trace = trace_;
    decisions = decisions_;
}

}  // namespace exo::guest
