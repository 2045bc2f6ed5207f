#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "guest/drivers/block/disk_registry.h"
#include "guest/kernel/command.h"

/// The parts of the command `blk`. Each gets the words after its own, and returns the status.
namespace exo::guest::blk {

extern const Command command;

unsigned list(Arguments arguments, CommandConsole& console);
unsigned mode(Arguments arguments, CommandConsole& console);
unsigned stats(Arguments arguments, CommandConsole& console);
unsigned bench(Arguments arguments, CommandConsole& console);
unsigned trace(Arguments arguments, CommandConsole& console);

/// The disk of that name, or the first disk of data when the name is empty; null, with the reason printed.
Disk* find(std::string_view name, CommandConsole& console);

/// What `[DISK] [--json]` asks for.
struct DiskAndJson {
    Disk* disk;
    bool json;
};
/// The status to end with when the words are none of that, or there is no such disk.
std::expected<DiskAndJson, unsigned> parse_disk_and_json(Arguments arguments, CommandConsole& console);

/// A number with an optional k, m or g for powers of 1024; nothing when it is none, or too large.
std::optional<std::uint64_t> parse_number(std::string_view text);

/// A fraction, printed with three decimals: part / of.
struct Ratio {
    std::uint64_t part;
    std::uint64_t of;
};
void format_value(TextSink& sink, const Ratio& ratio);

}  // namespace exo::guest::blk
