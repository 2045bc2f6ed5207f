#include "vmm/cli/output_queue.h"

#include <algorithm>

namespace exo::vmm {

std::size_t OutputQueue::put(std::span<const std::byte> bytes) {
    const MutexLock lock(mutex_);
    const std::size_t waiting = bytes_.size() - taken_;
    const std::size_t fits = std::min(bytes.size(), limit - waiting);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(fits));
    refused_ |= fits < bytes.size();
    if (waiting == 0 && fits != 0) wake_.signal();
    return fits;
}

std::vector<std::byte> OutputQueue::take(std::size_t most) {
    const MutexLock lock(mutex_);
    const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(taken_);
    const std::size_t count = std::min(most, bytes_.size() - taken_);
    std::vector<std::byte> out(from, from + static_cast<std::ptrdiff_t>(count));
    taken_ += count;
    if (taken_ == bytes_.size()) {
        bytes_.clear();
        taken_ = 0;
    }
    return out;
}

bool OutputQueue::empty() const {
    const MutexLock lock(mutex_);
    return taken_ == bytes_.size();
}

bool OutputQueue::take_room_made() {
    const MutexLock lock(mutex_);
    const bool made = refused_ && bytes_.size() - taken_ < limit;
    if (made) refused_ = false;
    return made;
}

}  // namespace exo::vmm
