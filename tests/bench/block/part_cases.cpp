// The parts of a block operation alone, in one thread: what each side does for it, and what the controller
// adds.

#include <cstdlib>

#include "guest/drivers/adaptive/controller.h"
#include "guest/drivers/adaptive/rate_window.h"
#include "shared/block/control_line.h"
#include "tests/bench/block/block_machine.h"
#include "tests/bench/frame/case.h"
#include "tests/bench/frame/tsc.h"

namespace exo::bench {
namespace {

using guest::Controller;
using guest::IoMode;

/// A device that takes 20 us, and a machine on which an interrupt costs 8.
guest::IoSample sample_of(const guest::IoPlan& plan) {
    constexpr std::uint64_t service = 20'000;
    const bool slept = plan.poll_budget_ns < service;
    return {.latency_ns = service + (slept ? 8'000u : 300u),
            .service_ns = service,
            .cpu_ns = slept ? 4'000u : 300u,
            .slept = slept};
}

/// All that a controller does for operations, the samples that it asks for included.
struct Operations {
    static constexpr std::uint64_t count = 100'000;
    std::uint64_t gap_ns;
    Controller controller;
    std::uint64_t now_ns = guest::ns_per_s;

    void run() {
        for (std::uint64_t i = 0; i < count; ++i) {
            const bool timed = controller.begin();
            controller.end(1);
            if (!timed) continue;
            now_ns += 16 * gap_ns;
            controller.sample(sample_of(controller.plan(true)), now_ns, 1, 0);
        }
    }
};

template <std::uint64_t rate>
Run run_controller(Stage& stage) {
    Operations operations{.gap_ns = guest::ns_per_s / rate, .controller = Controller()};
    operations.run();
    const std::uint64_t ticks =
        stage.run([](void* context) { static_cast<Operations*>(context)->run(); }, &operations);
    return {ticks, Operations::count, operations.controller.service().total() > 0};
}

/// The original design: each operation goes into a window of a second, and its rate is held against two
/// thresholds.
struct ThroughputRule {
    guest::RateWindow rate;
    std::uint64_t now_ns = guest::ns_per_s;
    std::uint64_t polled = 0;

    void run() {
        for (std::uint64_t i = 0; i < Operations::count; ++i) {
            now_ns += 10'000;
            rate.add(now_ns, 1);
            polled += rate.per_second(now_ns) > 10'000 ? 1 : 0;
        }
    }
};

Run run_throughput_rule(Stage& stage) {
    ThroughputRule rule;
    const std::uint64_t ticks =
        stage.run([](void* context) { static_cast<ThroughputRule*>(context)->run(); }, &rule);
    return {ticks, Operations::count, rule.polled > 0};
}

/// A change of mode: the controller's plan, and telling the device by the control line.
struct ModeChanges {
    static constexpr std::uint64_t count = 10'000;
    Controller controller;
    fusion::WakeLine line{};

    void run() {
        for (std::uint64_t i = 0; i < count; ++i) {
            controller.configure({.fixed = i % 2 == 0 ? IoMode::polling : IoMode::interrupt},
                                 guest::ns_per_s + i * 10'000);
            const guest::IoPlan& plan = controller.plan();
            block::DriverControl control{};
            control.mode = static_cast<std::uint32_t>(plan.mode);
            control.poll_budget_ns = plan.poll_budget_ns;
            control.batch_limit = plan.batch;
            block::publish_control(line, control);
        }
    }
};

Run run_mode_change(Stage& stage) {
    ModeChanges changes;
    const std::uint64_t ticks =
        stage.run([](void* context) { static_cast<ModeChanges*>(context)->run(); }, &changes);
    return {ticks, ModeChanges::count, changes.controller.switches() >= ModeChanges::count - 1};
}

enum class SideOfIt : std::uint8_t { guest, device };

/// Bursts of reads, driver and device in turn on one CPU.
template <Protocol protocol, unsigned depth, SideOfIt side>
Run run_side(Stage&) {
    constexpr unsigned bursts = 2'000 / depth + 50;
    HostedTime time;
    auto machine =
        BlockMachine::create({.protocol = protocol, .disk = {"memory"}, .device_cpu = std::nullopt}, time);
    if (!machine) std::abort();
    const guest::DmaSpan memory = (*machine)->memory(guest::sector_size);
    std::array<guest::BlockRequest, depth> requests;
    std::array<guest::BlockRequest*, depth> pointers;
    for (unsigned i = 0; i < depth; ++i) {
        requests[i].segments = {&memory, 1};
        pointers[i] = &requests[i];
    }
    guest::BlockQueue& queue = (*machine)->disk().queue(0);
    std::uint64_t of_guest = 0;
    std::uint64_t of_device = 0;
    bool ok = true;
    for (unsigned burst = 0; burst < bursts; ++burst) {
        for (guest::BlockRequest& request : requests) request.reset();
        const std::uint64_t begin = read_tsc();
        queue.submit(pointers);
        const std::uint64_t submitted = read_tsc();
        while ((*machine)->device().service()) continue;
        const std::uint64_t served = read_tsc();
        ok = ok && queue.poll() == depth;
        const std::uint64_t reaped = read_tsc();
        of_guest += submitted - begin + (reaped - served);
        of_device += served - submitted;
    }
    return {side == SideOfIt::guest ? of_guest : of_device, bursts * depth, ok};
}

constexpr const char* unit = "TSC cycles an operation";

EXO_BENCH_CASES const Case cases[] = {
    {"block", "controller", "adaptive, 100,000 a second", unit, run_controller<100'000>, Side::own, 1},
    {"block", "controller", "adaptive, 1,000,000 a second", unit, run_controller<1'000'000>, Side::own, 1},
    {"block", "controller", "throughput rule", unit, run_throughput_rule, Side::peer, 1},
    {"block", "mode-change", "adaptive", "TSC cycles a change", run_mode_change, Side::own, 1},
    {"block", "guest-side-1", "fusion-blk", unit, run_side<Protocol::fusion, 1, SideOfIt::guest>, Side::own,
     1},
    {"block", "guest-side-1", "virtio-blk", unit, run_side<Protocol::virtio, 1, SideOfIt::guest>, Side::peer,
     1},
    {"block", "guest-side-32", "fusion-blk", unit, run_side<Protocol::fusion, 32, SideOfIt::guest>, Side::own,
     1},
    {"block", "guest-side-32", "virtio-blk", unit, run_side<Protocol::virtio, 32, SideOfIt::guest>,
     Side::peer, 1},
    {"block", "device-side-1", "fusion-blk", unit, run_side<Protocol::fusion, 1, SideOfIt::device>, Side::own,
     1},
    {"block", "device-side-1", "virtio-blk", unit, run_side<Protocol::virtio, 1, SideOfIt::device>,
     Side::peer, 1},
    {"block", "device-side-32", "fusion-blk", unit, run_side<Protocol::fusion, 32, SideOfIt::device>,
     Side::own, 1},
    {"block", "device-side-32", "virtio-blk", unit, run_side<Protocol::virtio, 32, SideOfIt::device>,
     Side::peer, 1},
};

}  // namespace
}  // namespace exo::bench
