#include "vmm/tune/bench_output.h"

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

namespace exo::vmm::tune {
namespace {

using Json = nlohmann::json;

/// Reads all numbers, or says that one is missing or is none.
bool read_numbers(const Json& json, std::initializer_list<std::pair<const char*, std::uint64_t*>> numbers) {
    for (const auto& [name, value] : numbers) {
        const auto found = json.find(name);
        if (found == json.end() || !found->is_number_unsigned()) return false;
        *value = found->get<std::uint64_t>();
    }
    return true;
}

bool read_text(const Json& json, const char* name, std::string& text) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) return false;
    text = found->get<std::string>();
    return true;
}

}  // namespace

BenchOutput parse_bench_output(std::string_view line) {
    const std::size_t begin = line.find('{');
    if (begin == std::string_view::npos) return {};
    const Json json = Json::parse(line.substr(begin), nullptr, false);
    if (!json.is_object()) return {};
    BenchResult result;
    if (read_text(json, "mode", result.mode) && read_text(json, "error", result.error) &&
        read_numbers(json, {{"rate", &result.rate},
                            {"depth", &result.depth},
                            {"jobs", &result.jobs},
                            {"operations", &result.operations},
                            {"elapsed_ns", &result.elapsed_ns},
                            {"cpu_ns", &result.cpu_ns},
                            {"p50_ns", &result.p50_ns},
                            {"p99_ns", &result.p99_ns}}))
        return result;
    Knowledge knowledge;
    if (json.contains("plan") &&
        read_numbers(json, {{"service_ns", &knowledge.service_ns},
                            {"interrupt_overhead_ns", &knowledge.interrupt_overhead_ns},
                            {"polling_overhead_ns", &knowledge.polling_overhead_ns},
                            {"interrupt_cpu_ns", &knowledge.interrupt_cpu_ns},
                            {"polling_cpu_ns", &knowledge.polling_cpu_ns}}))
        return knowledge;
    return {};
}

}  // namespace exo::vmm::tune
