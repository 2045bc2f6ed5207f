#include "vmm/machine/direct/start_pvh.h"

#include "shared/boot/pvh.h"

namespace exo::vmm {
namespace {

namespace pvh = boot::pvh;

/// From 1 MiB to what was handed out at the top: so a segment overwrites nothing that the VMM put there.
Result<void> load(const PvhKernel& kernel, std::uint64_t end, const GuestMemory& memory) {
    for (const PvhKernel::Segment& segment : kernel.segments) {
        const std::uint64_t start = segment.start.value;
        const bool fits =
            start >= layout::legacy_hole.end() && start <= end && segment.memory_size <= end - start;
        if (!fits || !put(memory, segment.start, segment.file))
            return fail(
                "cannot load the kernel",
                fmt::format("its segment of {} bytes at {:#x} does not fit into memory from 1 MiB to {:#x}",
                            segment.memory_size, start, end),
                "Give a larger --memory.");
    }
    return {};
}

std::vector<pvh::MemoryMapEntry> entries(const std::vector<MemoryMapRange>& map) {
    std::vector<pvh::MemoryMapEntry> entries;
    for (const auto& [where, kind] : map)
        entries.push_back({where.start, where.size, static_cast<std::uint32_t>(kind), 0});
    return entries;
}

/// An initrd is the first module, as Linux expects; a kernel's own file is one for its symbols.
Result<std::vector<pvh::Module>> modules(const PvhKernel& kernel, const AddressRange& initrd,
                                         TopOfMemory& top, const GuestMemory& memory) {
    std::vector<pvh::Module> modules;
    if (initrd.size != 0) modules.push_back({initrd.start, initrd.size, 0, 0});
    if (kernel.symbols.empty()) return modules;
    const auto where = top.take(kernel.symbols.size());
    if (!where || !put(memory, {where->start}, kernel.symbols))
        return fail("cannot load the kernel", "its symbols do not fit into memory",
                    "Give a larger --memory.");
    modules.push_back({where->start, kernel.symbols.size(), 0, 0});
    return modules;
}

}  // namespace

Result<CpuStart> start_pvh(const PvhKernel& kernel, const Handover& handover, TopOfMemory& top,
                           const GuestMemory& memory) {
    namespace at = layout::direct;
    constexpr std::uint64_t longest_command_line = 4095;
    const auto handed = modules(kernel, handover.initrd, top, memory);
    if (!handed) return std::unexpected(handed.error());
    if (auto done = load(kernel, top.end(), memory); !done) return std::unexpected(done.error());
    if (auto done = put_command_line(memory, handover.command_line, longest_command_line); !done)
        return std::unexpected(done.error());

    const auto map = entries(handover.memory_map);
    pvh::StartInfo info{};
    const GuestAddress module_list = at::start_info + sizeof(info);
    info.magic = pvh::start_info_magic;
    info.version = pvh::start_info_version;
    info.module_count = static_cast<std::uint32_t>(handed->size());
    info.modules = handed->empty() ? 0 : module_list.value;
    info.command_line = at::command_line.start;
    info.rsdp = handover.rsdp.value;
    info.memory_map = at::memory_map.value;
    info.memory_map_count = static_cast<std::uint32_t>(map.size());
    put(memory, at::start_info, std::as_bytes(std::span(&info, 1)));
    put(memory, module_list, std::as_bytes(std::span(*handed)));
    put(memory, at::memory_map, std::as_bytes(std::span(map)));
    return CpuStart{.mode = CpuStart::Mode::protected_32, .entry = kernel.entry, .rbx = at::start_info.value};
}

}  // namespace exo::vmm
