#include "tests/bench/allocator/peak_memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/allocator/workloads.h"
#include "tests/traces/allocation_trace.h"

namespace exo::bench {
namespace {

constexpr const char* variable = "EXO_BENCH_PEAK";

std::string key_of(const char* heap, const char* trace) {
    return std::string(heap) + "/" + trace;
}

/// Anonymous pages of this process, in bytes. Counted by the kernel at each reading: the counters of
/// /proc/self/status may be off by hundreds of kilobytes. Allocates nothing.
long resident_bytes() {
    std::array<char, 2048> text{};
    const int file = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    const bool complete = read(file, text.data(), text.size() - 1) > 0;
    close(file);
    constexpr std::string_view name = "\nAnonymous:";
    const char* const line = std::strstr(text.data(), name.data());
    if (!complete || line == nullptr) std::abort();
    return std::strtol(line + name.size(), nullptr, 10) * 1024;
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
    constexpr std::size_t events_a_sample = 256;
    std::size_t number = 0;
    const long before = resident_bytes();
    long most = before;
    for (const auto& event : trace.events) {
        if (++number % events_a_sample == 0) most = std::max(most, resident_bytes());
        Live& piece = live[event.slot];
        if (event.is_free()) {
            heap.release(piece.memory, piece.size, 0);
            piece = {};
            continue;
        }
        piece = {heap.allocate(event.size), event.size};
        std::memset(piece.memory, 1, piece.size);
    }
    std::printf("%ld\n", std::max(most, resident_bytes()) - before);
    std::fflush(stdout);
    _exit(0);
}

}  // namespace exo::bench
