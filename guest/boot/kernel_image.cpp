#include "guest/boot/kernel_image.h"

#include "shared/boot/boot_info.h"

// From kernel_section.S.
extern "C" const uint8_t exo_kernel_elf_start[];
extern "C" const uint8_t exo_kernel_elf_end[];

namespace exo::guest::uefi {

Status place_kernel(const Firmware& firmware, PlacedKernel& kernel) {
    kernel.file = {exo_kernel_elf_start, static_cast<uint64_t>(exo_kernel_elf_end - exo_kernel_elf_start)};
    const char* const wrong = elf::plan_load(kernel.file, boot::kernel_base, kernel.plan);
    if (wrong != nullptr) return report(firmware, Status::load_error, "kernel inside this image", wrong);
    void* const memory = allocate(firmware, kernel.plan.size);
    if (memory == nullptr)
        return report(firmware, Status::out_of_resources, "kernel", "give the machine more memory");
    kernel.physical = reinterpret_cast<uint64_t>(memory);
    for (size_t i = 0; i < kernel.plan.segment_count; ++i) {
        const elf::ProgramHeader& segment = kernel.plan.segments[i];
        __builtin_memcpy(static_cast<uint8_t*>(memory) + (segment.virtual_address - boot::kernel_base),
                         kernel.file.data + segment.offset, segment.file_size);
    }
    return Status::success;
}

}  // namespace exo::guest::uefi
