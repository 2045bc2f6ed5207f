#include "vmm/storage/nbd_connection.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace exo::vmm {
namespace {

/// Commands without data may be longer.
constexpr std::uint64_t longest_range = 1 << 30;

int note_answer(void* request, int* error) {
    auto& answered = *static_cast<NbdRequest*>(request);
    answered.answered = true;
    answered.error = *error;
    return 1;  // libnbd may forget the command
}

}  // namespace

NbdConnection::NbdConnection(const NbdLibrary& library, Handle handle)
    : library_(&library), handle_(std::move(handle)) {
    nbd_handle* const h = handle_.get();
    abilities_ = {.flush = library.can_flush(h) == 1,
                  .fua = library.can_fua(h) == 1,
                  .trim = library.can_trim(h) == 1,
                  .zero = library.can_zero(h) == 1};
}

std::expected<NbdConnection, std::string> NbdConnection::open(const NbdLibrary& library,
                                                              const std::string& uri,
                                                              Clock::time_point deadline,
                                                              const std::function<bool()>& stopped) {
    constexpr int patience_ms = 50;  // between looks at `stopped`
    Handle handle(library.create(), Close{&library});
    nbd_handle* const h = handle.get();
    if (h == nullptr) return std::unexpected(library.get_error());
    // Keys for TLS: the address comes from the user, who may read them anyway.
    library.set_uri_allow_local_file(h, true);
    if (library.aio_connect_uri(h, uri.c_str()) != 0) return std::unexpected(library.get_error());
    while (library.aio_is_ready(h) != 1) {
        if (library.aio_is_dead(h) == 1 || library.aio_is_closed(h) == 1)
            return std::unexpected("the server hung up");
        if (stopped()) return std::unexpected("stopped");
        if (Clock::now() >= deadline) return std::unexpected("the server does not answer");
        if (library.poll(h, patience_ms) == -1) return std::unexpected(library.get_error());
    }
    return NbdConnection(library, std::move(handle));
}

DiskGeometry NbdConnection::geometry() const {
    nbd_handle* const h = handle_.get();
    const auto block = [&](int kind) {
        return static_cast<std::uint32_t>(
            std::clamp<std::int64_t>(library_->get_block_size(h, kind), 0, 1 << 30));
    };
    DiskGeometry geometry;
    geometry.size = static_cast<std::uint64_t>(std::max<std::int64_t>(library_->get_size(h), 0));
    geometry.logical_block = std::max(geometry.logical_block, block(LIBNBD_SIZE_MINIMUM));
    geometry.physical_block = std::max({4096u, geometry.logical_block, block(LIBNBD_SIZE_PREFERRED)});
    geometry.read_only = library_->is_read_only(h) != 0;
    return geometry;
}

std::uint64_t NbdConnection::largest_command() const {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(library_->get_block_size(handle_.get(), LIBNBD_SIZE_MAXIMUM), 0));
}

void NbdConnection::send(NbdRequest& request) {
    request.answered = false;
    request.error = 0;
    if (command(request, {.callback = note_answer, .user_data = &request, .free = nullptr}) >= 0) return;
    request.answered = true;
    request.error = library_->get_errno() != 0 ? library_->get_errno() : EIO;
}

std::int64_t NbdConnection::command(NbdRequest& request, nbd_completion_callback told) {
    const auto nothing_to_do = [&] {
        request.answered = true;
        return std::int64_t{0};
    };
    nbd_handle* const h = handle_.get();
    const std::uint64_t left = request.length - request.done;
    const std::uint64_t at = request.offset + request.done;
    const std::uint32_t fua = request.fua && abilities_.fua ? LIBNBD_CMD_FLAG_FUA : 0;
    if (request.operation == DiskOperation::flush || request.moved)
        return abilities_.flush ? library_->aio_flush(h, told, 0) : nothing_to_do();
    request.under_way = std::min(left, longest_command);
    switch (request.operation) {
        case DiskOperation::read: {
            std::byte* const into = request.segments.size() == 1
                                        ? static_cast<std::byte*>(request.segments[0].iov_base)
                                        : request.data.data();
            return library_->aio_pread(h, into + request.done, request.under_way, at, told, 0);
        }
        case DiskOperation::write:
            return library_->aio_pwrite(h, request.data.data() + request.done, request.under_way, at, told,
                                        fua);
        case DiskOperation::discard:
            request.under_way = std::min(left, longest_range);
            return abilities_.trim ? library_->aio_trim(h, request.under_way, at, told, 0) : nothing_to_do();
        case DiskOperation::write_zeroes: {
            if (abilities_.zero) {
                request.under_way = std::min(left, longest_range);
                const std::uint32_t keep = request.may_unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE;
                return library_->aio_zero(h, request.under_way, at, told, fua | keep);
            }
            request.data.resize(request.under_way);
            return library_->aio_pwrite(h, request.data.data(), request.under_way, at, told, fua);
        }
        case DiskOperation::flush:
            break;
    }
    return nothing_to_do();
}

bool NbdConnection::advance(NbdRequest& request) const {
    if (request.error != 0 || request.operation == DiskOperation::flush || request.moved) return true;
    request.done += request.under_way;
    if (request.done < request.length) return false;
    request.moved = true;
    return !(request.fua && !abilities_.fua && abilities_.flush);
}

short NbdConnection::poll_events() const {
    const unsigned direction = library_->aio_get_direction(handle_.get());
    const bool reads = (direction & LIBNBD_AIO_DIRECTION_READ) != 0;
    const bool writes = (direction & LIBNBD_AIO_DIRECTION_WRITE) != 0;
    return static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
}

void NbdConnection::handle(short events) {
    // Both may fail when the server hangs up; lost() tells.
    const unsigned direction = library_->aio_get_direction(handle_.get());
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0)
        static_cast<void>(library_->aio_notify_read(handle_.get()));
    else if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 && (events & (POLLOUT | POLLHUP | POLLERR)) != 0)
        static_cast<void>(library_->aio_notify_write(handle_.get()));
}

bool NbdConnection::lost() const {
    return library_->aio_is_dead(handle_.get()) != 0 || library_->aio_is_closed(handle_.get()) != 0;
}

}  // namespace exo::vmm
