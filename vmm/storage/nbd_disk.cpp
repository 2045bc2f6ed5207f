#include "vmm/storage/nbd_disk.h"

#include <poll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;

constexpr auto connect_limit = 5s;
constexpr auto shortest_pause = 100ms;  // between attempts to connect
constexpr auto longest_pause = 2s;
constexpr auto retry_interval = 1s;  // once the server has been given up

Result<void> check(const std::string& what, const DiskGeometry& geometry, std::uint64_t largest_command,
                   bool read_only) {
    constexpr std::uint32_t largest_block = 4096;
    if (geometry.size == 0) return fail(what, "it is empty");
    if (!std::has_single_bit(geometry.logical_block) || geometry.logical_block > largest_block)
        return fail(what, fmt::format("its smallest block, {} bytes, is none that a disk has (512 to {})",
                                      geometry.logical_block, largest_block));
    if (geometry.size % geometry.logical_block != 0)
        return fail(what,
                    fmt::format("its size, {} bytes, is no multiple of its {}-byte blocks", geometry.size,
                                geometry.logical_block),
                    "give the export a size that is");
    if (largest_command != 0 && largest_command < NbdConnection::longest_command)
        return fail(what, fmt::format("the server takes {} bytes at once, less than the {} that are sent",
                                      largest_command, NbdConnection::longest_command));
    if (geometry.read_only && !read_only)
        return fail(what, "the server offers it for reading only", "open the disk read-only");
    return {};
}

std::unique_ptr<NbdRequest> take_over(const DiskRequest& request) {
    auto taken = std::make_unique<NbdRequest>();
    taken->operation = request.operation;
    taken->fua = request.fua;
    taken->may_unmap = request.may_unmap;
    taken->offset = request.offset;
    taken->cookie = request.cookie;
    taken->length = request.length;
    if (request.segments.empty()) return taken;
    taken->length = 0;
    for (const iovec& segment : request.segments) taken->length += segment.iov_len;
    if (request.operation == DiskOperation::read) {
        taken->segments.assign(request.segments.begin(), request.segments.end());
        if (taken->segments.size() > 1) taken->data.resize(taken->length);
        return taken;
    }
    taken->data.reserve(taken->length);
    for (const iovec& segment : request.segments) {
        const auto* const bytes = static_cast<const std::byte*>(segment.iov_base);
        taken->data.insert(taken->data.end(), bytes, bytes + segment.iov_len);
    }
    return taken;
}

void scatter(const NbdRequest& read) {
    if (read.segments.size() < 2) return;
    const std::byte* from = read.data.data();
    for (const iovec& segment : read.segments) {
        std::memcpy(segment.iov_base, from, segment.iov_len);
        from += segment.iov_len;
    }
}

}  // namespace

Result<std::unique_ptr<NbdDisk>> NbdDisk::create(Options options) {
    const std::string what = "disk '" + options.uri + "'";
    const auto library = NbdLibrary::load();
    if (!library) return std::unexpected(library.error());
    auto completed = EventFd::create();
    if (!completed) return std::unexpected(completed.error());
    auto wake = EventFd::create();
    if (!wake) return std::unexpected(wake.error());
    auto connection =
        NbdConnection::open(**library, options.uri, Clock::now() + connect_limit, [] { return false; });
    if (!connection) return fail(what, connection.error(), "is the server running, and is it this address?");
    const auto checked =
        check(what, connection->geometry(), connection->largest_command(), options.read_only);
    if (!checked) return std::unexpected(checked.error());
    try {
        return std::unique_ptr<NbdDisk>(new NbdDisk(std::move(options), **library, std::move(*connection),
                                                    std::move(*completed), std::move(*wake)));
    } catch (const std::system_error& error) {
        return fail(what, error.what(), "raise the limits of processes and of address space (ulimit -u, -v)");
    }
}

NbdDisk::NbdDisk(Options options, const NbdLibrary& library, NbdConnection connection, EventFd completed,
                 EventFd wake)
    : options_(std::move(options)),
      library_(library),
      geometry_(connection.geometry()),
      abilities_(connection.abilities()),
      completed_(std::move(completed)),
      wake_(std::move(wake)),
      flushes_(options_.uri, options_.warn),
      connection_(std::move(connection)) {
    geometry_.read_only = options_.read_only;
    thread_ = std::jthread([this] { serve(); });
}

NbdDisk::~NbdDisk() {
    stopping_ = true;
    wake_.signal();
}

void NbdDisk::submit(std::span<const DiskRequest> requests) {
    std::deque<Request> taken;
    for (const DiskRequest& request : requests) taken.push_back(take_over(request));
    {
        const MutexLock lock(mutex_);
        std::ranges::move(taken, std::back_inserter(incoming_));
    }
    wake_.signal();
}

std::size_t NbdDisk::reap(std::span<DiskCompletion> completions) {
    const MutexLock lock(mutex_);
    const std::size_t count = std::min(completions.size(), done_.size());
    std::copy_n(done_.begin(), count, completions.begin());
    done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
}

void NbdDisk::serve() {
    while (!stopping_) {
        take_incoming();
        if (connection_ && connection_->lost()) lose();
        if (!connection_ && !waiting_.empty()) reconnect();
        if (connection_) {
            tidy();
            send_waiting();
            settle();
        }
        // What settle() has made possible is done without a wait.
        const bool more =
            connection_ && (connection_->lost() || (!replays_.empty() && in_flight_.empty()) ||
                            (!waiting_.empty() && !is_replaying() && may_send(*waiting_.front())));
        if (!more) wait(-1);
    }
}

void NbdDisk::take_incoming() {
    const MutexLock lock(mutex_);
    std::ranges::move(incoming_, std::back_inserter(waiting_));
    incoming_.clear();
}

bool NbdDisk::may_send(const NbdRequest& request) const {
    if (in_flight_.size() >= queue_depth) return false;
    return !request.changes_the_disk() || written_bytes_ < hold_from;
}

/// The guest had the answers to these writes, so nothing that it asks may come before them.
bool NbdDisk::is_replaying() const {
    return !replays_.empty() ||
           std::ranges::any_of(in_flight_, [](const Request& request) { return request->is_replay(); });
}

void NbdDisk::send_waiting() {
    if (is_replaying()) {
        if (!in_flight_.empty()) return;
        Request next = std::move(replays_.front());
        replays_.pop_front();
        return send(std::move(next));
    }
    while (!waiting_.empty() && may_send(*waiting_.front())) {
        Request next = std::move(waiting_.front());
        waiting_.pop_front();
        send(std::move(next));
    }
}

void NbdDisk::send(Request request) {
    const bool is_flush = request->operation == DiskOperation::flush;
    if (is_flush) request->order = written_count_;
    request->ticket = flushes_.begin(is_flush, request->fua);
    connection_->send(*request);
    in_flight_.push_back(std::move(request));
}

/// Ends what the server has answered, and sends the next command of what has several.
void NbdDisk::settle() {
    std::vector<Request> ended;
    for (Request& request : in_flight_) {
        while (request->answered) {
            if (connection_->lost()) break;  // an error may be the connection's, not the disk's
            if (connection_->advance(*request)) {
                ended.push_back(std::move(request));
                break;
            }
            connection_->send(*request);
        }
        if (connection_->lost()) break;
    }
    std::erase(in_flight_, nullptr);
    for (Request& request : ended) end(std::move(request));
    while (auto told = flushes_.next()) {
        told->held->error = told->error;
        finish(std::move(told->held));
    }
}

void NbdDisk::wait(int timeout_ms) {
    pollfd watched[] = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                        {.fd = connection_ ? connection_->fd() : -1,
                         .events = connection_ ? connection_->poll_events() : short{0},
                         .revents = 0}};
    if (::poll(watched, std::size(watched), timeout_ms) <= 0) return;
    if (watched[0].revents != 0) wake_.drain();
    if (watched[1].revents != 0) connection_->handle(watched[1].revents);
}

void NbdDisk::end(Request request) {
    if (request->ticket.order == 0) return finish(std::move(request));
    const FlushTicket ticket = request->ticket;
    const int error = request->error;
    flushes_.end(ticket, error, std::move(request));
}

void NbdDisk::finish(Request request) {
    if (request->operation == DiskOperation::flush) {
        // After a failed flush nobody knows what the server has kept; a copy would not mend that.
        if (request->error != ESHUTDOWN) forget_flushed(request->order);
        if (!request->answers_guest) tidying_ = false;
    }
    if (request->operation == DiskOperation::read && request->error == 0) scatter(*request);
    if (std::exchange(request->answers_guest, false)) answer(*request);
    if (request->error == 0 && request->changes_the_disk()) keep(std::move(request));
}

/// Until a flush has covered it.
void NbdDisk::keep(Request write) {
    const bool is_stable = !abilities_.flush || write->fua;
    if (is_stable || write->operation == DiskOperation::discard) return;
    write->order = ++written_count_;
    written_bytes_ += write->data.size();
    written_.push_back(std::move(write));
}

void NbdDisk::forget_flushed(std::uint64_t order) {
    while (!written_.empty() && written_.front()->order <= order) {
        written_bytes_ -= written_.front()->data.size();
        written_.pop_front();
    }
}

/// Has the server flush before the copies become too many.
void NbdDisk::tidy() {
    constexpr std::size_t most_copies = 65536;  // of zeroed ranges there is no data to count
    if (tidying_ || (written_bytes_ < flush_from && written_.size() < most_copies)) return;
    auto flush = std::make_unique<NbdRequest>();
    flush->operation = DiskOperation::flush;
    flush->answers_guest = false;
    tidying_ = true;
    waiting_.push_front(std::move(flush));
}

void NbdDisk::answer(NbdRequest& request) {
    {
        const MutexLock lock(mutex_);
        done_.push_back({.cookie = request.cookie,
                         .error = request.error,
                         .bytes = request.error == 0 ? request.length : 0});
    }
    completed_.signal();
}

void NbdDisk::lose() {
    warn("the server has gone away; connecting again");
    connection_.reset();
    std::ranges::move(flushes_.give_up(), std::back_inserter(in_flight_));
    for (auto request = in_flight_.rbegin(); request != in_flight_.rend(); ++request) {
        (*request)->start_over();
        ((*request)->is_replay() ? replays_ : waiting_).push_front(std::move(*request));
    }
    in_flight_.clear();
}

void NbdDisk::reconnect() {
    const auto now = Clock::now();
    if (away_ && now < next_try_) return give_up({});
    const auto deadline = away_ ? now + retry_interval : now + options_.patience;
    std::string why;
    for (auto pause = std::chrono::milliseconds(shortest_pause); !stopping_;) {
        why = try_to_connect(std::min(deadline, Clock::now() + connect_limit));
        if (connection_) return replay();
        if (away_ || Clock::now() + pause >= deadline) break;
        const auto wake_up = Clock::now() + pause;
        while (!stopping_ && Clock::now() < wake_up)
            wait(static_cast<int>(
                std::chrono::ceil<std::chrono::milliseconds>(wake_up - Clock::now()).count()));
        pause = std::min<std::chrono::milliseconds>(2 * pause, longest_pause);
    }
    if (!stopping_) give_up(why);
}

/// Why not.
std::string NbdDisk::try_to_connect(Clock::time_point deadline) {
    auto connection =
        NbdConnection::open(library_, options_.uri, deadline, [this] { return stopping_.load(); });
    if (!connection) return connection.error();
    const DiskGeometry geometry = connection->geometry();
    if (geometry.size != geometry_.size || geometry.logical_block != geometry_.logical_block ||
        (geometry.read_only && !geometry_.read_only) || connection->abilities() != abilities_)
        return "what it offers now is another disk";
    connection_ = std::move(*connection);
    return {};
}

/// A new connection: the server gets what it may have forgotten.
void NbdDisk::replay() {
    away_ = false;
    warn(written_.empty() ? "the server is back"
                          : fmt::format("the server is back; it gets {} writes again that it had not flushed",
                                        written_.size()));
    tidying_ = std::ranges::any_of(waiting_, [](const Request& request) { return !request->answers_guest; });
    for (auto write = written_.rbegin(); write != written_.rend(); ++write) {
        (*write)->start_over();
        replays_.push_front(std::move(*write));  // older than those left of an earlier replay
    }
    written_.clear();
    written_bytes_ = 0;
}

void NbdDisk::give_up(const std::string& why) {
    if (!away_) warn(fmt::format("the server stays away ({}); requests fail until it is back", why));
    if (!why.empty()) next_try_ = Clock::now() + retry_interval;
    away_ = true;
    take_incoming();
    for (Request& request : waiting_) {
        request->error = EIO;
        if (request->answers_guest) answer(*request);
    }
    waiting_.clear();
    tidying_ = false;
}

void NbdDisk::warn(const std::string& text) const {
    if (options_.warn) options_.warn(fmt::format("disk '{}': {}", options_.uri, text));
}

}  // namespace exo::vmm
