#include "vmm/machine/msix.h"

#include "vmm/machine/io_value.h"
#include "vmm/machine/layout.h"

namespace exo::vmm {

namespace {

constexpr std::uint32_t vector_masked = 1;

bool aligned(std::uint64_t offset, std::size_t size) {
    return (size == 4 || size == 8) && offset % size == 0;
}

}  // namespace

Msix::Msix(unsigned vectors) : entries_(vectors) {
    lines_.reserve(vectors);
    for (unsigned vector = 0; vector < vectors; ++vector) lines_.emplace_back(*this, vector);
}

void Msix::set_backend(MsixBackend* backend) {
    const std::lock_guard lock(mutex_);
    backend_ = backend;
    for (unsigned vector = 0; vector < vectors(); ++vector) update(vector);
}

void Msix::set_control(bool enabled, bool function_masked) {
    const std::lock_guard lock(mutex_);
    if (enabled == enabled_ && function_masked == function_masked_) return;
    enabled_ = enabled;
    function_masked_ = function_masked;
    for (unsigned vector = 0; vector < vectors(); ++vector) update(vector);
}

bool Msix::unmasked(const Entry& entry) const {
    return backend_ && enabled_ && !function_masked_ && !(entry.control & vector_masked);
}

/// Tells the backend what has become of the vector, and lets a pending interrupt go if it now can.
void Msix::update(unsigned vector) {
    Entry& entry = entries_[vector];
    std::optional<MsiMessage> message;
    const bool is_interrupt =
        entry.address_high == 0 && layout::msi_window.contains({entry.address_low, sizeof(std::uint32_t)});
    if (unmasked(entry) && is_interrupt) message = MsiMessage{entry.address_low, entry.data};

    if (backend_ && message != entry.routed) {
        entry.routed = message;
        backend_->route(vector, message);
    }
    if (message && entry.pending) {
        entry.pending = false;
        ++counts_.delivered;
        backend_->deliver(vector);
    }
}

void Msix::exchange_state(StateArchive& archive) {
    const std::lock_guard lock(mutex_);
    for (unsigned vector = 0; vector < vectors(); ++vector) {
        Entry& entry = entries_[vector];
        for (std::uint32_t* const word :
             {&entry.address_low, &entry.address_high, &entry.data, &entry.control})
            archive(*word);
        archive(entry.pending);
        if (!archive.loading()) continue;
        entry.address_low &= ~3u;
        entry.control &= vector_masked;
        update(vector);
        if (entry.routed) backend_->deliver(vector);
    }
}

void Msix::raise(unsigned vector) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[vector];
    if (entry.routed) {
        ++counts_.delivered;
        backend_->deliver(vector);
    } else if (unmasked(entry)) {
        ++counts_.misprogrammed;
    } else {
        entry.pending = true;
        ++counts_.pended;
    }
}

std::uint32_t Msix::table_word(std::uint64_t offset) const {
    const Entry& entry = entries_[offset / entry_size];
    switch (offset % entry_size) {
        case 0:
            return entry.address_low;
        case 4:
            return entry.address_high;
        case 8:
            return entry.data;
        default:
            return entry.control;
    }
}

void Msix::set_table_word(std::uint64_t offset, std::uint32_t value) {
    Entry& entry = entries_[offset / entry_size];
    switch (offset % entry_size) {
        case 0:
            entry.address_low = value & ~3u;
            break;
        case 4:
            entry.address_high = value;
            break;
        case 8:
            entry.data = value;
            break;
        default:
            entry.control = value & vector_masked;
            break;
    }
}

void Msix::read_table(std::uint64_t offset, std::span<std::byte> data) const {
    put_ones(data);
    if (!aligned(offset, data.size()) || offset >= table_bytes()) return;
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < data.size(); i += 4) put_value(data.subspan(i, 4), table_word(offset + i));
}

void Msix::write_table(std::uint64_t offset, std::span<const std::byte> data) {
    if (!aligned(offset, data.size()) || offset >= table_bytes()) return;
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < data.size(); i += 4)
        set_table_word(offset + i, static_cast<std::uint32_t>(value_of(data.subspan(i, 4))));
    update(static_cast<unsigned>(offset / entry_size));
}

void Msix::read_pending(std::uint64_t offset, std::span<std::byte> data) const {
    put_ones(data);
    if (!aligned(offset, data.size()) || offset >= pending_bytes()) return;
    const std::lock_guard lock(mutex_);
    std::uint64_t bits = 0;
    for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
        const std::uint64_t vector = offset * 8 + bit;
        if (vector < vectors() && entries_[vector].pending) bits |= std::uint64_t{1} << bit;
    }
    put_value(data, bits);
}

Msix::Counts Msix::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

}  // namespace exo::vmm
