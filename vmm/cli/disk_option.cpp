#include "vmm/cli/disk_option.h"

#include <charconv>
#include <string_view>

#include "vmm/cli/size.h"

namespace exo::vmm {
namespace {

constexpr char disk_properties[] =
    "They are readonly, direct, type=fusion|virtio, poll=MICROSECONDS, queues=N, iops=N and bytes=SIZE; a "
    "file "
    "name must not hold a comma.";

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && number >= least && number <= most ? std::optional(number) : std::nullopt;
}

/// Takes one property. Returns why it cannot; empty when it could.
std::string take_property(std::string_view word, DiskOption& disk) {
    constexpr std::uint64_t longest_poll = 1'000'000;
    constexpr std::uint64_t any = 1'000'000'000'000'000;
    const std::size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : word.substr(equals + 1);
    std::string why;
    const auto refuse = [&](std::string_view reason) {
        why = fmt::format("'{}' is no property of a disk{}", word, reason);
    };
    const auto number = [&](std::uint64_t least, std::uint64_t most) {
        const auto parsed = parse_number(value, least, most);
        if (!parsed) refuse(fmt::format(": {} takes a whole number from {} to {}", key, least, most));
        return parsed.value_or(least);
    };
    if (word == "readonly") {
        disk.read_only = true;
    } else if (word == "direct") {
        disk.direct = true;
    } else if (word == "type=virtio") {
        disk.kind = DiskKind::virtio;
    } else if (word == "type=fusion") {
        disk.kind = DiskKind::fusion;
    } else if (key == "poll") {
        disk.poll = std::chrono::microseconds(number(0, longest_poll));
    } else if (key == "queues") {
        disk.queues = static_cast<unsigned>(number(1, most_disk_queues));
    } else if (key == "iops") {
        disk.rates.operations = number(1, any);
    } else if (key == "bytes") {
        const auto size = parse_size(value);
        disk.rates.bytes = size.value_or(0);
        if (disk.rates.bytes == 0) refuse(": bytes takes a size such as 100M");
    } else {
        refuse("");
    }
    return why;
}

}  // namespace

Result<DiskOption> parse_disk(const std::string& text) {
    const std::string what = fmt::format("cannot use --disk {}", text);
    std::size_t at = text.find(',');
    DiskOption disk{.path = text.substr(0, at)};
    if (disk.path.empty()) return fail(what, "the file is missing", "See vmm run --help.");
    while (at != std::string::npos) {
        const std::size_t next = text.find(',', at + 1);
        const std::string word = text.substr(at + 1, next == std::string::npos ? next : next - at - 1);
        at = next;
        if (const std::string why = take_property(word, disk); !why.empty())
            return fail(what, why, disk_properties);
    }
    return disk;
}

}  // namespace exo::vmm
