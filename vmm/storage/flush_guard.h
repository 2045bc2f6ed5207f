#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace exo::vmm {

/// What a FlushGuard knows a request by that makes data stable: a flush or a forced write.
struct FlushTicket {
    std::uint64_t order = 0;     ///< 0 for all other requests
    std::uint64_t failures = 0;  ///< that there were before it began
    bool is_flush = false;
};

/// Linux tells of a failed write-back once, to one of the calls that wait for it, and takes the pages for
/// clean from then on: the next fdatasync says ok although data is lost. So once a flush has failed, all
/// later ones fail too, until the disk is opened anew (Rebello et al., "Can Applications Recover from fsync
/// Failures?", ATC 2020; QEMU does the same). And as the error may go to any call that is under way, to a
/// forced write as well, none counts as a success before all that ran beside it have ended without one.
/// Servers of disks do the same to files of theirs.
///
/// `Held` is what is kept of a request until its end can be told.
template <typename Held>
class FlushGuard {
  public:
    struct Told {
        Held held;
        int error;
    };

    FlushGuard() = default;
    /// `name` is the disk's, for the warning.
    FlushGuard(std::string name, std::function<void(const std::string&)> warn)
        : name_(std::move(name)), warn_(std::move(warn)) {}

    /// A request goes to the host.
    FlushTicket begin(bool is_flush, bool is_forced) {
        if (!is_flush && !is_forced) return {};
        under_way_.push_back(++last_order_);
        return {.order = last_order_, .failures = failures_, .is_flush = is_flush};
    }

    /// The host has ended one that has a ticket; next() says when the guest may hear of it.
    void end(const FlushTicket& ticket, int error, Held held) {
        if (has_lost_data(ticket, error)) fail(error);
        std::erase(under_way_, ticket.order);
        ended_.push_back({ticket, last_order_, error, std::move(held)});
    }

    /// The next end to be told, and with which error.
    std::optional<Told> next() {
        if (ended_.empty() || (!under_way_.empty() && under_way_.front() <= ended_.front().last_beside))
            return std::nullopt;
        Ended one = std::move(ended_.front());
        ended_.pop_front();
        const bool is_suspect = one.ticket.is_flush ? failures_ > 0 : failures_ != one.ticket.failures;
        return Told{std::move(one.held), one.error == 0 && is_suspect ? error_ : one.error};
    }

    /// How those under way end will never be known: those that waited for it have to be carried out again.
    std::vector<Held> give_up() {
        under_way_.clear();
        std::vector<Held> unknown;
        for (Ended& one : ended_) unknown.push_back(std::move(one.held));
        ended_.clear();
        return unknown;
    }

    /// Whether that end of a request means that data may be lost. The error of a forced write may be that of
    /// other data. A server that is about to go has not tried.
    static bool has_lost_data(const FlushTicket& ticket, int error) {
        return ticket.is_flush ? error != 0 && error != ESHUTDOWN : error == EIO;
    }

  private:
    struct Ended {
        FlushTicket ticket;
        std::uint64_t last_beside;  ///< of those that had begun by its end
        int error;
        Held held;
    };

    void fail(int error) {
        if (failures_++ > 0) return;
        error_ = error;
        if (!warn_) return;
        warn_(fmt::format(
            "disk '{}': the host could not write what the guest had written ({}); data may be lost, "
            "and every flush fails until the disk is opened anew: check the host's storage, then "
            "restart the guest",
            name_, std::strerror(error)));
    }

    std::string name_;
    std::function<void(const std::string&)> warn_;
    std::uint64_t last_order_ = 0;
    std::vector<std::uint64_t> under_way_;  ///< oldest first
    std::deque<Ended> ended_;               ///< in the order of their ends
    std::uint64_t failures_ = 0;
    int error_ = 0;  ///< of the first failure
};

}  // namespace exo::vmm
