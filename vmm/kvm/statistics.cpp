#include "vmm/kvm/statistics.h"

#include <unistd.h>

#include <cstring>
#include <span>

#include "vmm/kvm/kvm_api.h"

namespace exo::vmm {
namespace {

constexpr std::uint32_t max_name = 256;
constexpr std::uint32_t max_statistics = 4096;

bool read_exactly(int fd, std::uint64_t offset, std::span<std::byte> into) {
    while (!into.empty()) {
        const ssize_t got = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        into = into.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return true;
}

bool is_scalar(const kvm_stats_desc& description) {
    const std::uint32_t type = description.flags & KVM_STATS_TYPE_MASK;
    return description.size == 1 && type <= KVM_STATS_TYPE_PEAK;
}

}  // namespace

Result<std::vector<KvmStatistic>> read_statistics(int fd) {
    const auto unreadable = fail("KVM's statistics cannot be read", "the file is not as its format says");
    kvm_stats_header header{};
    if (!read_exactly(fd, 0, std::as_writable_bytes(std::span(&header, 1)))) return unreadable;
    if (header.name_size > max_name || header.num_desc > max_statistics) return unreadable;

    const std::size_t stride = sizeof(kvm_stats_desc) + header.name_size;
    std::vector<std::byte> descriptions(stride * header.num_desc);
    if (!read_exactly(fd, header.desc_offset, descriptions)) return unreadable;

    std::vector<KvmStatistic> statistics;
    for (std::size_t i = 0; i < header.num_desc; ++i) {
        kvm_stats_desc description{};
        std::memcpy(&description, &descriptions[i * stride], sizeof(description));
        if (!is_scalar(description)) continue;
        const auto* name = reinterpret_cast<const char*>(&descriptions[i * stride + sizeof(description)]);
        KvmStatistic statistic{std::string(name, ::strnlen(name, header.name_size)), 0};
        const auto value = std::as_writable_bytes(std::span(&statistic.value, 1));
        if (!read_exactly(fd, std::uint64_t{header.data_offset} + description.offset, value))
            return unreadable;
        statistics.push_back(std::move(statistic));
    }
    return statistics;
}

}  // namespace exo::vmm
