#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vmm/base/error.h"

namespace exo::vmm {

/// One counter or gauge of KVM's binary statistics; histograms are left out.
struct KvmStatistic {
    std::string name;
    std::uint64_t value = 0;
};

/// Reads a statistics file of KVM (Linux, Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD). Sizes that the
/// file itself gives are checked against sane bounds.
Result<std::vector<KvmStatistic>> read_statistics(int fd);

}  // namespace exo::vmm
