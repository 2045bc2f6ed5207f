#include "tests/sim/disk/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace exo::sim {

using vmm::DiskOperation;

SimulatedDisk::SimulatedDisk(std::size_t sectors, const DiskFaults& faults, Random& random)
    : faults_(faults),
      random_(random),
      geometry_{.size = sectors * sector_bytes},
      completed_(std::move(*vmm::EventFd::create())),
      sectors_(sectors),
      guarded_(faults.lost_write > 0) {}

void SimulatedDisk::submit(std::span<const vmm::DiskRequest> requests) {
    for (const vmm::DiskRequest& request : requests) {
        InFlight& one = in_flight_.emplace_back();
        one.request = request;
        one.segments.assign(request.segments.begin(), request.segments.end());
        if (!lost_since_ && random_.below(1000) < faults_.lost) lost_since_ = now_;
        begin(one);
    }
}

void SimulatedDisk::begin(InFlight& one) {
    const auto slowest = static_cast<std::uint64_t>(faults_.slowest.count());
    one.due = now_ + std::chrono::nanoseconds(random_.below(slowest));
    one.begun_at = events_;
    if (guarded_) one.ticket = guard_.begin(one.request.operation == DiskOperation::flush, one.request.fua);
    if (one.request.operation == DiskOperation::write) take_versions(one);
    kill_point();
}

/// From here on the cache may write any of it, at any time.
void SimulatedDisk::take_versions(InFlight& one) {
    std::uint64_t sector = one.request.offset / sector_bytes;
    for (const iovec& segment : one.segments) {
        const auto* bytes = static_cast<const std::byte*>(segment.iov_base);
        for (std::size_t at = 0; at < segment.iov_len; at += sector_bytes, ++sector) {
            const auto version = version_of(bytes + at, sector);
            saw_foreign_data_ |= !version;
            one.versions.push_back(version.value_or(0));
            sectors_[sector].unstable.push_back({.version = one.versions.back()});
        }
    }
}

bool SimulatedDisk::advance(std::chrono::nanoseconds now) {
    now_ = now;
    if (lost_since_) {
        if (!faults_.comes_back || now < *lost_since_ + *faults_.comes_back) return false;
        lost_since_.reset();
        for (InFlight& one : in_flight_) one.due = now;
    }
    std::vector<std::size_t> due;
    for (std::size_t i = 0; i < in_flight_.size(); ++i)
        if (in_flight_[i].due <= now) due.push_back(i);
    if (due.empty()) return false;
    const std::size_t chosen = due[random_.below(due.size())];
    const InFlight one = std::move(in_flight_[chosen]);
    in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(chosen));
    // Those not reaped yet come in any order, as from several threads.
    const std::size_t place = random_.below(done_.size() + 1);
    done_.insert(done_.begin() + static_cast<std::ptrdiff_t>(place), {carry_out(one), one.ticket});
    forget_unwritten(one);
    if (random_.below(1000) < faults_.lost_write) lose_a_write();
    completed_.signal();
    kill_point();
    return true;
}

vmm::DiskCompletion SimulatedDisk::carry_out(const InFlight& one) {
    std::uint64_t bytes = 0;
    for (const iovec& segment : one.segments) bytes += segment.iov_len;
    const std::size_t sectors = bytes / sector_bytes;
    std::uint64_t fate = random_.below(1000);
    const auto is_fate = [&fate](unsigned share) {
        const bool hit = fate < share;
        fate -= hit ? 0 : share;
        return hit;
    };
    const std::uint64_t cookie = one.request.cookie;
    ++events_;
    if (is_fate(faults_.io_error)) return {cookie, EIO, 0};
    const bool is_flush = one.request.operation == DiskOperation::flush;
    if ((is_flush || one.request.fua) && std::exchange(owes_error_, false)) return {cookie, EIO, 0};
    if (is_flush) {
        make_stable(one.begun_at);
        return {cookie, 0, 0};
    }
    if (is_fate(faults_.torn)) {
        move(one, sectors, true);
        return {cookie, EIO, 0};
    }
    if (is_fate(faults_.short_transfer)) return {cookie, 0, move(one, random_.below(sectors), false)};
    if (is_fate(one.request.operation == DiskOperation::write ? faults_.no_space : 0))
        return {cookie, ENOSPC, 0};
    return {cookie, 0, move(one, sectors, false)};
}

/// Moves the first sectors, or any of them, and returns how many bytes that were.
std::uint64_t SimulatedDisk::move(const InFlight& one, std::size_t sectors, bool some) {
    std::uint64_t sector = one.request.offset / sector_bytes;
    std::size_t moved = 0;
    std::size_t index = 0;
    for (const iovec& segment : one.segments) {
        auto* const bytes = static_cast<std::byte*>(segment.iov_base);
        for (std::size_t at = 0; at < segment.iov_len; at += sector_bytes, ++sector, ++index) {
            if (index >= sectors || (some && random_.below(2) == 0)) continue;
            ++moved;
            if (one.request.operation == DiskOperation::read)
                stamp(bytes + at, sector, sectors_[sector].cached);
            else
                end_write(sectors_[sector], one.versions[index], one.request.fua);
        }
    }
    return moved * sector_bytes;
}

void SimulatedDisk::end_write(Sector& sector, Version version, bool fua) {
    sector.cached = version;
    const auto own = std::ranges::find(sector.unstable, version, &Unstable::version);
    if (own == sector.unstable.end()) return;
    own->written_at = events_;
    if (!fua) return;
    sector.stable = version;
    sector.unstable.erase(sector.unstable.begin(), own + 1);
}

/// What a failed write has not written by its end, it never will.
void SimulatedDisk::forget_unwritten(const InFlight& one) {
    const std::uint64_t first = one.request.offset / sector_bytes;
    for (std::size_t i = 0; i < one.versions.size(); ++i)
        std::erase_if(sectors_[first + i].unstable, [&](const Unstable& unstable) {
            return unstable.version == one.versions[i] && unstable.written_at == 0;
        });
}

/// A flush is done that began after that event: it covers what had ended by then.
void SimulatedDisk::make_stable(std::uint64_t begun_at) {
    for (Sector& sector : sectors_) {
        std::size_t covered = 0;
        for (std::size_t i = 0; i < sector.unstable.size(); ++i)
            if (sector.unstable[i].written_at != 0 && sector.unstable[i].written_at <= begun_at)
                covered = i + 1;
        if (covered == 0 || sector.unstable[covered - 1].lost) continue;
        sector.stable = sector.unstable[covered - 1].version;
        sector.unstable.erase(sector.unstable.begin(),
                              sector.unstable.begin() + static_cast<std::ptrdiff_t>(covered));
    }
}

/// The kernel takes for clean what it could not write.
void SimulatedDisk::lose_a_write() {
    Sector& sector = sectors_[random_.below(sectors_.size())];
    if (sector.unstable.empty() || sector.unstable.back().written_at == 0) return;
    sector.unstable.back().lost = true;
    owes_error_ = true;
}

bool SimulatedDisk::take(std::optional<vmm::DiskCompletion>& told) {
    if (done_.empty()) return false;
    const Done one = done_.front();
    done_.pop_front();
    if (one.ticket.order == 0)
        told = one.completion;
    else
        guard_.end(one.ticket, one.completion.error, one.completion);
    return true;
}

std::size_t SimulatedDisk::reap(std::span<vmm::DiskCompletion> completions) {
    std::size_t count = 0;
    while (count < completions.size()) {
        std::optional<vmm::DiskCompletion> told;
        if (const auto held = guard_.next()) {
            told = held->held;
            told->error = held->error;
        } else if (!take(told)) {
            break;
        }
        if (told) completions[count++] = *told;
    }
    return count;
}

}  // namespace exo::sim
