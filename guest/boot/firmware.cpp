#include "guest/boot/firmware.h"

namespace exo::guest::uefi {
namespace {

void print(const Firmware& firmware, const char* text) {
    if (firmware.system->console_out == nullptr) return;
    Char16 line[128];
    while (*text != 0) {
        size_t used = 0;
        while (*text != 0 && used < 126) {
            if (*text == '\n') line[used++] = u'\r';
            line[used++] = static_cast<unsigned char>(*text++);
        }
        line[used] = 0;
        firmware.system->console_out->output_string(firmware.system->console_out, line);
    }
}

const char* describe(Status status) {
    switch (status) {
        case Status::success:
            return "success";
        case Status::load_error:
            return "load error";
        case Status::invalid_parameter:
            return "invalid parameter";
        case Status::unsupported:
            return "unsupported";
        case Status::bad_buffer_size:
            return "bad buffer size";
        case Status::buffer_too_small:
            return "buffer too small";
        case Status::not_ready:
            return "not ready";
        case Status::device_error:
            return "device error";
        case Status::out_of_resources:
            return "out of memory";
        case Status::volume_corrupted:
            return "the volume is corrupted";
        case Status::no_media:
            return "no medium";
        case Status::not_found:
            return "not found";
        case Status::access_denied:
            return "access denied";
        case Status::no_response:
            return "no response";
        case Status::timeout:
            return "timeout";
    }
    return "an unusual status of the firmware";
}

}  // namespace

void* allocate(const Firmware& firmware, size_t size) {
    constexpr size_t page = 4096;
    const size_t pages = (size + page - 1) / page;
    uint64_t address = 0;
    const Status status =
        firmware.services().allocate_pages(AllocateType::any_pages, MemoryType::loader_data, pages, &address);
    if (status != Status::success) return nullptr;
    auto* const memory = reinterpret_cast<uint8_t*>(address);
    __builtin_memset(memory, 0, pages * page);
    return memory;
}

Status report(const Firmware& firmware, Status status, const char* what, const char* why) {
    print(firmware, "exo loader: ");
    print(firmware, what);
    print(firmware, ": ");
    if (why != nullptr) {
        print(firmware, why);
        print(firmware, " (");
    }
    print(firmware, describe(status));
    print(firmware, why != nullptr ? ")\n" : "\n");
    return status;
}

}  // namespace exo::guest::uefi
