#include "guest/memory/kernel_memory.h"

#include "guest/kernel/panic.h"
#include "guest/kernel/symbols.h"
#include "guest/memory/memory_statistics.h"

namespace exo::guest {
namespace {

constinit KernelMemory memory;

struct Origin {
    std::string_view what;
    std::uintptr_t address;
};
void format_value(TextSink& sink, const Origin& origin) {
    if (origin.address != 0) format(sink, "\n  {} by {}", origin.what, Location{origin.address});
}

}  // namespace

KernelMemory& kernel_memory() {
    return memory;
}

void KernelMemory::report_fault(const HeapFault& fault) {
    panic("heap: {}: {}, of {} bytes{}{}{}", name_of(fault.kind), fault.pointer, fault.size,
          Origin{"allocated", fault.allocated_by}, Origin{"freed", fault.freed_by},
          Origin{"found", fault.found_by});
}

MemoryStatistics memory_statistics() {
    return memory.heap.usage();
}

}  // namespace exo::guest
