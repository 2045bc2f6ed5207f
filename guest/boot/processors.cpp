#include "guest/boot/processors.h"

namespace exo::guest::uefi {

void list_processors(const Firmware& firmware, boot::BootCpus& cpus) {
    void* found = nullptr;
    if (firmware.services().locate_protocol(&MpServices::guid, nullptr, &found) != Status::success) return;
    auto* const services = static_cast<MpServices*>(found);
    size_t all = 0;
    size_t enabled = 0;
    if (services->get_number_of_processors(services, &all, &enabled) != Status::success) return;
    for (size_t number = 0; number < all && cpus.count < boot::BootCpus::max_count; ++number) {
        ProcessorInformation processor{};
        if (services->get_processor_info(services, number, &processor) == Status::success &&
            (processor.status & ProcessorInformation::status_enabled) != 0)
            cpus.apic_ids[cpus.count++] = static_cast<uint32_t>(processor.processor_id);
    }
}

}  // namespace exo::guest::uefi
