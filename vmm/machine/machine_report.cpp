#include "vmm/machine/machine_report.h"

#include <algorithm>

namespace exo::vmm {

const char* ExitCounts::name(std::size_t reason) {
    static constexpr std::array names = {"port_read",   "port_write",   "mmio_read",     "mmio_write",
                                         "interrupted", "triple_fault", "entry_failure", "internal_error",
                                         "unsupported", "run_failure"};
    static_assert(names.size() == std::variant_size_v<VcpuExit>);
    return names[reason];
}

void add_statistics(std::vector<KvmStatistic>& sum, const std::vector<KvmStatistic>& more) {
    for (const KvmStatistic& statistic : more) {
        const auto known = std::ranges::find(sum, statistic.name, &KvmStatistic::name);
        if (known == sum.end())
            sum.push_back(statistic);
        else
            known->value += statistic.value;
    }
}

}  // namespace exo::vmm
