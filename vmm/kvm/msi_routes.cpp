#include "vmm/kvm/msi_routes.h"

#include <algorithm>

namespace exo::vmm {

std::uint32_t MsiRoutes::allocate() {
    const MutexLock lock(mutex_);
    return next_++;
}

Result<void> MsiRoutes::set(std::uint32_t gsi, const Msi& message) {
    const MutexLock lock(mutex_);
    const auto known = std::ranges::find(routes_, gsi, &MsiRoute::gsi);
    if (known == routes_.end())
        routes_.push_back({gsi, message});
    else if (known->message == message)
        return {};
    else
        known->message = message;
    return commit_(routes_);
}

}  // namespace exo::vmm
