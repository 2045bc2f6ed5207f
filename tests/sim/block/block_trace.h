#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <iosfwd>
#include <string>
#include <vector>

namespace exo::sim {

/// One request to a disk, as it was seen.
struct TracedRequest {
    std::uint64_t submit_ns = 0;   ///< when it was handed over, from any start
    std::uint64_t service_ns = 0;  ///< that the device took for it
    bool urgent = false;           ///< its end is to be told at once

    friend auto operator<=>(const TracedRequest&, const TracedRequest&) = default;
};

/// Requests in the order of their submission.
using BlockTrace = std::vector<TracedRequest>;

/// Reads a trace: JSON lines, one object a request, with `submit_ns`, `service_ns` and perhaps `urgent`;
/// other members and empty lines are passed over. Sorts by submission. The error names the line.
std::expected<BlockTrace, std::string> read_block_trace(std::istream& lines);
void write_block_trace(std::ostream& lines, const BlockTrace& trace);

}  // namespace exo::sim
