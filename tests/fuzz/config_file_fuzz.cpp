// libFuzzer on the configuration file: any bytes are either entries in the words of the command line, each
// with the line it stands on, or an error that names a line of the file.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/cli/config_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace exo;
    const vmm::FileDescriptor file(::memfd_create("config", MFD_CLOEXEC));
    if (!file || ::write(file.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
    const auto entries = vmm::read_config("/proc/self/fd/" + std::to_string(file.get()));
    if (!entries) {
        fuzz::require(!entries.error().what.empty() && !entries.error().why.empty());
        return 0;
    }
    const auto lines = 1 + static_cast<unsigned>(std::count(data, data + size, std::uint8_t{'\n'}));
    for (const vmm::ConfigEntry& entry : *entries) {
        fuzz::require(entry.line >= 1 && entry.line <= lines);
        fuzz::require(entry.list || entry.values.size() == 1);
    }
    return 0;
}
