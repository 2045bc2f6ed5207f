#pragma once

#include <libnbd.h>

#include "vmm/base/error.h"

namespace exo::vmm {

/// libnbd, loaded when the first network disk is opened: who has none needs no library. Functions have the
/// names of libnbd(3) without their prefix.
struct NbdLibrary {
    /// The library stays loaded.
    static Result<const NbdLibrary*> load();

    decltype(&::nbd_create) create = nullptr;
    decltype(&::nbd_close) close = nullptr;
    decltype(&::nbd_get_error) get_error = nullptr;
    decltype(&::nbd_get_errno) get_errno = nullptr;
    decltype(&::nbd_set_uri_allow_local_file) set_uri_allow_local_file = nullptr;
    decltype(&::nbd_get_size) get_size = nullptr;
    decltype(&::nbd_get_block_size) get_block_size = nullptr;
    decltype(&::nbd_is_read_only) is_read_only = nullptr;
    decltype(&::nbd_can_flush) can_flush = nullptr;
    decltype(&::nbd_can_fua) can_fua = nullptr;
    decltype(&::nbd_can_trim) can_trim = nullptr;
    decltype(&::nbd_can_zero) can_zero = nullptr;
    decltype(&::nbd_poll) poll = nullptr;
    decltype(&::nbd_aio_connect_uri) aio_connect_uri = nullptr;
    decltype(&::nbd_aio_is_ready) aio_is_ready = nullptr;
    decltype(&::nbd_aio_is_dead) aio_is_dead = nullptr;
    decltype(&::nbd_aio_is_closed) aio_is_closed = nullptr;
    decltype(&::nbd_aio_get_fd) aio_get_fd = nullptr;
    decltype(&::nbd_aio_get_direction) aio_get_direction = nullptr;
    decltype(&::nbd_aio_notify_read) aio_notify_read = nullptr;
    decltype(&::nbd_aio_notify_write) aio_notify_write = nullptr;
    decltype(&::nbd_aio_pread) aio_pread = nullptr;
    decltype(&::nbd_aio_pwrite) aio_pwrite = nullptr;
    decltype(&::nbd_aio_flush) aio_flush = nullptr;
    decltype(&::nbd_aio_trim) aio_trim = nullptr;
    decltype(&::nbd_aio_zero) aio_zero = nullptr;
};

}  // namespace exo::vmm
