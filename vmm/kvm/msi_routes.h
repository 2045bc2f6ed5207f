#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/mutex.h"
#include "vmm/kvm/vm.h"

namespace exo::vmm {

/// The machine's MSI routes: hands out interrupt numbers and keeps KVM's table, which can only be replaced
/// as a whole, equal to what the devices' MSI-X tables say. Any thread.
class MsiRoutes {
  public:
    using Commit = std::function<Result<void>(std::span<const MsiRoute>)>;
    explicit MsiRoutes(Commit commit) : commit_(std::move(commit)) {}

    /// An interrupt number of its own, without a route yet.
    std::uint32_t allocate();
    /// `gsi` stands for `message` from the return on. Nothing is done when it already does.
    Result<void> set(std::uint32_t gsi, const Msi& message);

  private:
    Mutex mutex_;
    Commit commit_ EXO_THREAD_SAFETY(guarded_by(mutex_));
    std::vector<MsiRoute> routes_ EXO_THREAD_SAFETY(guarded_by(mutex_));
    std::uint32_t next_ EXO_THREAD_SAFETY(guarded_by(mutex_)) = first_msi_gsi;
};

}  // namespace exo::vmm
