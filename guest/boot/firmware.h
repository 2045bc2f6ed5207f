#pragma once

#include "guest/boot/uefi.h"

namespace exo::guest::uefi {

/// What the firmware gave the loader. `loaded` is filled at start.
struct Firmware {
    Handle image;
    SystemTable* system;
    LoadedImage* loaded;

    BootServices& services() const { return *system->boot_services; }

    /// The interface of a protocol on a handle; nullptr when it has none.
    template <typename Protocol>
    Protocol* protocol(Handle handle, const Guid& guid = Protocol::guid) const {
        void* interface = nullptr;
        if (handle == nullptr || services().handle_protocol(handle, &guid, &interface) != Status::success)
            return nullptr;
        return static_cast<Protocol*>(interface);
    }
};

/// Zeroed memory of the loader's own type, so that the kernel can tell it; page-aligned. nullptr when the
/// firmware has none left.
void* allocate(const Firmware& firmware, size_t size);

/// Prints "exo loader: WHAT: WHY (status)" on the firmware's console and hands the status on. Without a `why`
/// the status alone tells it.
Status report(const Firmware& firmware, Status status, const char* what, const char* why = nullptr);

}  // namespace exo::guest::uefi
