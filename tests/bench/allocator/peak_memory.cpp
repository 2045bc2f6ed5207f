#include "tests/bench/allocator/peak_memory.h"

#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/bench/allocator/workloads.h"
#include "tests/traces/allocation_trace.h"

namespace exo::bench {
namespace {

constexpr const char* variable = "EXO_BENCH_PEAK";

std::string key_of(const char* heap, const char* trace) {
    return std::string(heap) + "/" + trace;
}

/// A line of /proc/self/status, in bytes.
long status_bytes(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        long kib = 0;
        if (word == name && status >> kib) return kib * 1024;
    }
    return 0;
}

}  // namespace

bool is_peak_process(const char* heap, const char* trace) {
    const char* const asked = std::getenv(variable);
    return asked != nullptr && key_of(heap, trace) == asked;
}

Run peak_memory_in_own_process(const char* heap, const char* trace) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe");
    setenv(variable, key_of(heap, trace).c_str(), 1);
    std::FILE* const output = popen(("exec '" + program + "'").c_str(), "r");
    unsetenv(variable);
    if (output == nullptr) return {};
    std::array<char, 64> text{};
    const bool read = std::fgets(text.data(), text.size(), output) != nullptr;
    const bool ended_well = pclose(output) == 0;
    const unsigned long long bytes = std::strtoull(text.data(), nullptr, 10);
    return {bytes, 1, read && ended_well && bytes > 0};
}

void measure_peak_memory(const HeapFunctions& heap, const char* name) {
    const auto trace = traces::AllocationTrace::read(name);
    std::vector<Live> live(trace.slots);
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";
    const long before = status_bytes("VmRSS:");
    for (const auto& event : trace.events) {
        Live& piece = live[event.slot];
        if (event.is_free()) {
            heap.release(piece.memory, piece.size, 0);
            piece = {};
            continue;
        }
        piece = {heap.allocate(event.size), event.size};
        std::memset(piece.memory, 1, piece.size);
    }
    std::printf("%ld\n", status_bytes("VmHWM:") - before);
    std::fflush(stdout);
    _exit(0);
}

}  // namespace exo::bench
