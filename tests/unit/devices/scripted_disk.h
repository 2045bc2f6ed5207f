#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "vmm/base/event_fd.h"
#include "vmm/storage/disk.h"

namespace exo::test {

/// A disk that does what a test tells it: holds requests until they are let go, in any order, fails them, or
/// moves less than asked.
class ScriptedDisk final : public vmm::Disk {
  public:
    struct Held {
        vmm::DiskRequest request;
        std::vector<iovec> segments;
    };

    explicit ScriptedDisk(std::size_t size, vmm::DiskGeometry geometry = {})
        : content(size), geometry_(geometry), completed_(std::move(*vmm::EventFd::create())) {
        geometry_.size = size;
    }

    std::vector<std::byte> content;
    bool hold = false;  ///< keep requests until release()
    /// Answers in place of the disk: an errno, or 0 for what the disk would say.
    std::function<int(const vmm::DiskRequest&)> fail;
    std::uint64_t short_by = 0;  ///< bytes that every answer says were not moved
    std::size_t depth_limit = 256;
    std::size_t flushes = 0;
    std::size_t fua_writes = 0;
    std::vector<vmm::DiskRequest> ranges;  ///< discards and zeroed ranges
    std::vector<std::uint64_t> order;      ///< offsets in the order of submission

    const vmm::DiskGeometry& geometry() const override { return geometry_; }
    std::string description() const override { return "scripted"; }
    std::size_t depth() const override { return depth_limit; }
    int completion_fd() const override { return completed_.get(); }

    void submit(std::span<const vmm::DiskRequest> requests) override {
        const std::lock_guard lock(mutex_);
        for (const vmm::DiskRequest& request : requests) {
            order.push_back(request.offset);
            held_.push_back({request, {request.segments.begin(), request.segments.end()}});
            most_held_ = std::max(most_held_, held_.size());
        }
        if (!hold) release_locked(held_.size());
    }

    std::size_t reap(std::span<vmm::DiskCompletion> completions) override {
        const std::lock_guard lock(mutex_);
        std::size_t count = 0;
        while (count < completions.size() && !done_.empty()) {
            completions[count++] = done_.front();
            done_.pop_front();
        }
        return count;
    }

    std::size_t held() const {
        const std::lock_guard lock(mutex_);
        return held_.size();
    }
    std::size_t most_held() const { return most_held_; }

    /// Carries out the first `count` held requests, or the last ones, latest first.
    void release(std::size_t count = ~std::size_t{0}) {
        const std::lock_guard lock(mutex_);
        release_locked(std::min(count, held_.size()));
    }
    void release_last() {
        const std::lock_guard lock(mutex_);
        std::rotate(held_.begin(), held_.end() - 1, held_.end());
        release_locked(1);
    }

  private:
    void release_locked(std::size_t count) {
        for (; count > 0; --count) {
            Held held = std::move(held_.front());
            held_.pop_front();
            held.request.segments = held.segments;
            done_.push_back(carry_out(held.request));
        }
        completed_.signal();
    }

    vmm::DiskCompletion carry_out(const vmm::DiskRequest& request) {
        if (const int error = fail ? fail(request) : 0; error != 0) return {request.cookie, error, 0};
        if (request.operation == vmm::DiskOperation::flush) ++flushes;
        if (request.fua) ++fua_writes;
        if (request.operation == vmm::DiskOperation::discard ||
            request.operation == vmm::DiskOperation::write_zeroes) {
            ranges.push_back(request);
            if (request.offset + request.length > content.size()) return {request.cookie, EIO, 0};
            std::memset(&content[request.offset], 0, request.length);
            return {request.cookie, 0, request.length};
        }
        std::uint64_t at = request.offset;
        for (const iovec& segment : request.segments) {
            if (at + segment.iov_len > content.size()) return {request.cookie, EIO, 0};
            if (request.operation == vmm::DiskOperation::read) {
                std::memcpy(segment.iov_base, &content[at], segment.iov_len);
            } else {
                std::memcpy(&content[at], segment.iov_base, segment.iov_len);
            }
            at += segment.iov_len;
        }
        return {request.cookie, 0, at - request.offset - std::min(short_by, at - request.offset)};
    }

    vmm::DiskGeometry geometry_;
    vmm::EventFd completed_;
    mutable std::mutex mutex_;
    std::deque<Held> held_;
    std::deque<vmm::DiskCompletion> done_;
    std::size_t most_held_ = 0;
};

}  // namespace exo::test
