#include "vmm/cli/metrics.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "shared/block/protocol.h"
#include "vmm/cli/output_file.h"

namespace exo::vmm {
namespace {

using Json = nlohmann::ordered_json;

constexpr int format_version = 1;

Json milliseconds(BootTimeline::Time time, std::chrono::nanoseconds from) {
    if (!time) return nullptr;
    const double ms = std::chrono::duration<double, std::milli>(*time - from).count();
    return std::round(ms * 1000) / 1000;
}

Json boot(const RunMetrics& metrics) {
    const BootTimeline& timeline = metrics.report.timeline;
    const auto start = metrics.process_start;
    return {{"process_start", 0.0},
            {"inputs_read", milliseconds(metrics.inputs_read, start)},
            {"machine_made", milliseconds(metrics.machine_made, start)},
            {"vcpu_start", milliseconds(timeline.vcpu_start, start)},
            {"firmware_done", milliseconds(timeline.firmware_done, start)},
            {"firmware_handover", milliseconds(timeline.firmware_handover, start)},
            {"kernel_entry", milliseconds(timeline.kernel_entry, start)},
            {"ready", milliseconds(timeline.ready, start)},
            {"end", milliseconds(timeline.end, start)}};
}

Json exits(const ExitCounts& counts) {
    Json json = Json::object();
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < counts.by_reason.size(); ++i) {
        json[ExitCounts::name(i)] = counts.by_reason[i];
        total += counts.by_reason[i];
    }
    json["total"] = total;
    return json;
}

Json kvm_statistics(const std::vector<KvmStatistic>& statistics) {
    Json json = Json::object();
    for (const KvmStatistic& statistic : statistics) json[statistic.name] = statistic.value;
    return json;
}

Json accesses(const std::vector<IoBus::Count>& counts) {
    Json json = Json::object();
    for (const IoBus::Count& count : counts)
        if (count.reads != 0 || count.writes != 0)
            json[count.name] = {{"reads", count.reads}, {"writes", count.writes}};
    return json;
}

Json disk(const DiskReport& report) {
    const DiskCounters& counters = report.counters;
    std::uint64_t failed = 0;
    for (std::size_t i = 1; i < counters.completions.size(); ++i) failed += counters.completions[i];
    return {{"file", report.name},
            {"doorbells", counters.doorbells},
            {"interrupts", counters.interrupts},
            {"interrupts_delivered", report.interrupts.delivered},
            {"interrupts_held_back", report.interrupts.pended},
            {"reads", counters.reads},
            {"writes", counters.writes},
            {"flushes", counters.flushes},
            {"discards", counters.discards},
            {"zeroed_ranges", counters.zeroed_ranges},
            {"bytes_read", counters.bytes_read},
            {"bytes_written", counters.bytes_written},
            {"failed", failed},
            {"bad_descriptors", counters.bad_descriptors},
            {"completion_ring_full", counters.held_back},
            {"resets", counters.resets},
            {"polls",
             {{"found", report.polls.found},
              {"in_vain", report.polls.in_vain},
              {"gave_way", report.polls.gave_way},
              {"microseconds",
               std::chrono::duration_cast<std::chrono::microseconds>(report.polls.time).count()}}},
            {"delayed_by_limit", report.delayed},
            {"fault", report.fault.empty() ? Json() : Json(report.fault)}};
}

}  // namespace

std::string metrics_json(const RunMetrics& metrics) {
    const MachineReport& report = metrics.report;
    Json disks = Json::array();
    for (const DiskReport& one : report.disks) disks.push_back(disk(one));
    const Json json = {{"format", format_version},
                       {"status", metrics.status},
                       {"end", metrics.end},
                       {"restarts", metrics.restarts},
                       {"firmware", metrics.firmware},
                       {"boot_ms", boot(metrics)},
                       {"vmm_private_kib", metrics.private_kib},
                       {"exits_to_user_space", exits(report.exits)},
                       {"kvm", kvm_statistics(report.kvm)},
                       {"ports", accesses(report.ports)},
                       {"mmio", accesses(report.memory)},
                       {"disks", disks}};
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

Result<void> write_metrics(const std::string& path, const RunMetrics& metrics) {
    return write_document(path, "--metrics", metrics_json(metrics));
}

}  // namespace exo::vmm
