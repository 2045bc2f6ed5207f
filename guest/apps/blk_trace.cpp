#include <memory>
#include <new>

#include "guest/apps/blk.h"
#include "guest/drivers/block/adaptive_queue.h"
#include "guest/kernel/services.h"

namespace exo::guest::blk {
namespace {

constexpr std::string_view operations[] = {"read", "write", "flush"};

/// Everything that the queues of a disk remember.
struct Copy {
    IoTrace trace;
    IoDecisions decisions;
};

/// Writes events in the format of Chrome's tracing, which Perfetto reads: times in microseconds.
class ChromeTrace {
  public:
    explicit ChromeTrace(TextSink& sink) : sink_(sink) { sink_.write("{\"traceEvents\":["); }
    ~ChromeTrace() { sink_.write("\n]}\n"); }
    ChromeTrace(const ChromeTrace&) = delete;
    ChromeTrace& operator=(const ChromeTrace&) = delete;

    /// Requests overlap, so each has a row of its own: an asynchronous event.
    void add(unsigned queue, std::uint64_t id, const IoTimes& times) {
        const std::string_view name = operations[times.operation];
        open("b", name, queue, id, times.submit);
        format(sink_, ",\"args\":{{\"sector\":{},\"bytes\":{},\"mode\":\"{}\",\"doorbell\":{}}}}}",
               times.sector, times.bytes, describe(times.mode), times.doorbell ? "true" : "false");
        span(times.doorbell ? "submit and doorbell" : "submit", queue, id, times.submit, times.handed_over);
        span("pick-up", queue, id, times.handed_over, times.pickup);
        span("device", queue, id, times.pickup, times.submitted);
        span("host storage", queue, id, times.submitted, times.completed);
        span("interrupt", queue, id, times.completed, times.interrupt);
        span("wake-up", queue, id, times.interrupt != 0 ? times.interrupt : times.completed, times.woken);
        open("e", name, queue, id, times.woken);
        sink_.write("}");
    }

    void add(unsigned queue, const IoDecision& decision) {
        open("i", describe(decision.plan.mode), queue, 0, decision.at);
        format(sink_,
               ",\"s\":\"t\",\"args\":{{\"poll_budget_ns\":{},\"batch\":{},\"rate\":{},\"depth\":{},"
               "\"service_ns\":{},"
               "\"interrupt_ns\":{},\"runnable\":{}}}}}",
               decision.plan.poll_budget_ns, decision.plan.batch, decision.rate, decision.depth,
               decision.service_ns, decision.interrupt_ns, decision.runnable);
    }

  private:
    /// Nothing where an end is not known, or the clocks of two processors disagree.
    void span(std::string_view name, unsigned queue, std::uint64_t id, std::uint64_t from, std::uint64_t to) {
        if (from == 0 || to < from) return;
        open("b", name, queue, id, from);
        sink_.write("}");
        open("e", name, queue, id, to);
        sink_.write("}");
    }
    void open(std::string_view phase, std::string_view name, unsigned queue, std::uint64_t id,
              std::uint64_t at) {
        const std::uint64_t ns = services().time.ticks_to_ns(at);
        format(sink_,
               "{}\n{{\"ph\":\"{}\",\"cat\":\"io\",\"name\":\"{}\",\"pid\":1,\"tid\":{},\"id\":{},\"ts\":{}.{"
               ":03}",
               first_ ? "" : ",", phase, name, queue, id, ns / 1000, ns % 1000);
        first_ = false;
    }

    TextSink& sink_;
    bool first_ = true;
};

/// From one step to the next; a dash where one of them is not known.
void print_step(std::uint64_t from, std::uint64_t to, CommandConsole& console) {
    if (from == 0 || to < from) {
        format(console, "{:>10}", "-");
        return;
    }
    format(console, "{:>10}", services().time.ticks_to_ns(to - from));
}

void print(const IoTimes& times, CommandConsole& console) {
    format(console, "{:<7}{:>12}{:>9}  {:<10}", operations[times.operation], times.sector, times.bytes,
           describe(times.mode));
    print_step(times.submit, times.handed_over, console);
    print_step(times.handed_over, times.pickup, console);
    print_step(times.pickup, times.submitted, console);
    print_step(times.submitted, times.completed, console);
    print_step(times.completed, times.interrupt, console);
    print_step(times.interrupt != 0 ? times.interrupt : times.completed, times.woken, console);
    print_step(times.submit, times.woken, console);
    console.write("\n");
}

}  // namespace

unsigned trace(Arguments arguments, CommandConsole& console) {
    const auto asked = parse_disk_and_json(arguments, console);
    if (!asked) return asked.error();
    const auto [disk, json] = *asked;
    const std::unique_ptr<Copy> copy(new (std::nothrow) Copy);
    if (copy == nullptr) {
        console.write("blk: there is no memory for a copy of the trace\n");
        return status::failure;
    }
    std::optional<ChromeTrace> chrome;
    if (json)
        chrome.emplace(console);
    else
        format(console, "{:<7}{:>12}{:>9}  {:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", "SECTOR",
               "BYTES", "MODE", "SUBMIT", "PICK-UP", "DEVICE", "STORAGE", "INTERRUPT", "WAKE-UP", "ALL ns");
    std::uint64_t id = 0;
    for (unsigned queue = 0; queue < disk->device->queue_count(); ++queue) {
        disk->device->adaptive_queue(queue).copy_trace(copy->trace, copy->decisions);
        for (std::size_t i = 0; i < copy->trace.size(); ++i) {
            const IoTimes& times = copy->trace[i];
            if (times.woken == 0) continue;  // still under way
            if (chrome)
                chrome->add(queue, ++id, times);
            else
                print(times, console);
        }
        for (std::size_t i = 0; chrome && i < copy->decisions.size(); ++i)
            chrome->add(queue, copy->decisions[i]);
    }
    return status::ok;
}

}  // namespace exo::guest::blk
