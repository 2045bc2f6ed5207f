#include "vmm/storage/nbd_library.h"

#include <dlfcn.h>

namespace exo::vmm {
namespace {

constexpr char library_name[] = "libnbd.so.0";

template <class Function>
bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    return function != nullptr;
}

bool find_all(void* library, NbdLibrary& nbd) {
    return find(library, "nbd_create", nbd.create) && find(library, "nbd_close", nbd.close) &&
           find(library, "nbd_get_error", nbd.get_error) && find(library, "nbd_get_errno", nbd.get_errno) &&
           find(library, "nbd_set_uri_allow_local_file", nbd.set_uri_allow_local_file) &&
           find(library, "nbd_get_size", nbd.get_size) &&
           find(library, "nbd_get_block_size", nbd.get_block_size) &&
           find(library, "nbd_is_read_only", nbd.is_read_only) &&
           find(library, "nbd_can_flush", nbd.can_flush) && find(library, "nbd_can_fua", nbd.can_fua) &&
           find(library, "nbd_can_trim", nbd.can_trim) && find(library, "nbd_can_zero", nbd.can_zero) &&
           find(library, "nbd_poll", nbd.poll) && find(library, "nbd_aio_connect_uri", nbd.aio_connect_uri) &&
           find(library, "nbd_aio_is_ready", nbd.aio_is_ready) &&
           find(library, "nbd_aio_is_dead", nbd.aio_is_dead) &&
           find(library, "nbd_aio_is_closed", nbd.aio_is_closed) &&
           find(library, "nbd_aio_get_fd", nbd.aio_get_fd) &&
           find(library, "nbd_aio_get_direction", nbd.aio_get_direction) &&
           find(library, "nbd_aio_notify_read", nbd.aio_notify_read) &&
           find(library, "nbd_aio_notify_write", nbd.aio_notify_write) &&
           find(library, "nbd_aio_pread", nbd.aio_pread) && find(library, "nbd_aio_pwrite", nbd.aio_pwrite) &&
           find(library, "nbd_aio_flush", nbd.aio_flush) && find(library, "nbd_aio_trim", nbd.aio_trim) &&
           find(library, "nbd_aio_zero", nbd.aio_zero);
}

Result<NbdLibrary> load_library() {
    void* const library = ::dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
        return fail("network disks need libnbd", ::dlerror(), "install it: apt-get install libnbd0");
    NbdLibrary nbd;
    if (!find_all(library, nbd))
        return fail("network disks need libnbd", "the one installed lacks a function",
                    "install Debian's: apt-get install libnbd0");
    return nbd;
}

}  // namespace

Result<const NbdLibrary*> NbdLibrary::load() {
    static const Result<NbdLibrary> library = load_library();
    if (!library) return std::unexpected(library.error());
    return &*library;
}

}  // namespace exo::vmm
