#include "tests/sim/block/block_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <istream>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

namespace exo::sim {
namespace {

using Json = nlohmann::json;

std::optional<std::uint64_t> number(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
    return found->get<std::uint64_t>();
}

std::optional<TracedRequest> parse(const std::string& line) {
    const Json object = Json::parse(line, nullptr, false);
    if (!object.is_object()) return std::nullopt;
    const auto submit = number(object, "submit_ns");
    const auto service = number(object, "service_ns");
    const auto urgent = object.find("urgent");
    if (!submit || !service || (urgent != object.end() && !urgent->is_boolean())) return std::nullopt;
    return TracedRequest{*submit, *service, urgent != object.end() && urgent->get<bool>()};
}

}  // namespace

std::expected<BlockTrace, std::string> read_block_trace(std::istream& lines) {
    BlockTrace trace;
    std::string line;
    for (std::size_t number = 1; std::getline(lines, line); ++number) {
        if (line.empty()) continue;
        const auto request = parse(line);
        if (!request)
            return std::unexpected(fmt::format(
                "line {} is no request: it needs the whole numbers submit_ns and service_ns", number));
        trace.push_back(*request);
    }
    if (lines.bad()) return std::unexpected("it cannot be read to its end");
    if (trace.empty()) return std::unexpected("there is no request in it");
    std::ranges::sort(trace);
    return trace;
}

void write_block_trace(std::ostream& lines, const BlockTrace& trace) {
    for (const TracedRequest& request : trace)
        lines << fmt::format(R"({{"submit_ns":{},"service_ns":{}{}}})", request.submit_ns, request.service_ns,
                             request.urgent ? R"(,"urgent":true)" : "")
              << '\n';
}

}  // namespace exo::sim
