#include "vmm/devices/service_times.h"

#include <algorithm>
#include <limits>

namespace exo::vmm {

std::uint32_t clamp_ns(std::chrono::nanoseconds duration) {
    constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(duration.count(), 0, most));
}

void ServiceTimes::add(DiskOperation operation, std::uint32_t bytes, std::chrono::nanoseconds duration) {
    switch (operation) {
        case DiskOperation::read:
            read_[block::size_class(bytes)].add(duration);
            break;
        case DiskOperation::write:
            write_[block::size_class(bytes)].add(duration);
            break;
        case DiskOperation::flush:
            flush_.add(duration);
            break;
        case DiskOperation::discard:
        case DiskOperation::write_zeroes:
            break;  // fusion-blk has neither
    }
}

void ServiceTimes::write_to(block::DeviceControl& control) const {
    for (std::uint32_t i = 0; i < block::size_classes; ++i) {
        control.read_ns[i] = read_[i].ns();
        control.write_ns[i] = write_[i].ns();
    }
    control.flush_ns = flush_.ns();
}

}  // namespace exo::vmm
