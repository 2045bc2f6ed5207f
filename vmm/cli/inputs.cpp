#include "vmm/cli/inputs.h"

#include <sys/stat.h>

#include "firmware/search.h"
#include "vmm/cli/kernel_image.h"
#include "vmm/cli/output_file.h"
#include "vmm/storage/open_disk.h"

namespace exo::vmm {
namespace {

Result<firmware::FlashImage> load_firmware(const std::string& option) {
    const auto folders = firmware::descriptor_folders();
    const auto build = option == "auto" ? firmware::choose(folders) : firmware::named(option, folders);
    if (!build) return std::unexpected(build.error());
    return firmware::FlashImage::load(*build);
}

Result<void> prepare_uefi(const RunOptions& options, const Log& log, RunInputs& inputs) {
    if (!options.kernel.empty())
        if (auto fits = check_efi_application(inputs.kernel.bytes(), options.kernel); !fits) return fits;
    auto firmware = load_firmware(options.firmware);
    if (!firmware) return std::unexpected(firmware.error());
    inputs.firmware.emplace(std::move(*firmware));
    if (options.variables.empty()) return {};
    auto variables =
        firmware::VariableStore::open(options.variables, inputs.firmware->variables(),
                                      [&log](const Error& error) { log.error(error.message()); });
    if (!variables) return std::unexpected(variables.error());
    inputs.variables = std::move(*variables);
    return {};
}

/// Two options name the same file, by whatever paths.
bool same_file(const DiskOption& a, const DiskOption& b) {
    if (is_network_disk(a.path)) return a.path == b.path;
    struct stat one{};
    struct stat other{};
    if (::stat(a.path.c_str(), &one) != 0 || ::stat(b.path.c_str(), &other) != 0) return false;
    if (S_ISBLK(one.st_mode) && S_ISBLK(other.st_mode)) return one.st_rdev == other.st_rdev;
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/// Two writers, or a writer and a reader, would each see the other's data change under them.
Result<void> check_distinct(const std::vector<DiskOption>& disks) {
    for (std::size_t i = 0; i < disks.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (same_file(disks[i], disks[j]) && !(disks[i].read_only && disks[j].read_only))
                return fail(fmt::format("cannot use {} as two disks", disks[i].path),
                            "the guest may write to it", "Give it once, or add ,readonly to both.");
    return {};
}

Result<void> load_images(const RunOptions& options, RunInputs& inputs) {
    if (!options.kernel.empty()) {
        auto kernel = BootFile::open_kernel(options.kernel, options.memory);
        if (!kernel) return std::unexpected(kernel.error());
        inputs.kernel = std::move(*kernel);
    }
    if (options.initrd.empty()) return {};
    auto initrd = BootFile::open_initrd(options.initrd, options.memory);
    if (!initrd) return std::unexpected(initrd.error());
    inputs.initrd = std::move(*initrd);
    return {};
}

}  // namespace

Result<void> load_direct_kernel(const RunOptions& options, RunInputs& inputs) {
    for (BootFile* const file : {&inputs.kernel, &inputs.initrd})
        if (auto loaded = file->load(); !loaded) return loaded;
    auto kernel = parse_direct_kernel(inputs.kernel.bytes(), options.kernel);
    if (!kernel) return std::unexpected(kernel.error());
    inputs.direct_kernel = std::move(*kernel);
    return {};
}

void release_direct_kernel(RunInputs& inputs) {
    inputs.direct_kernel.reset();
    inputs.kernel.release();
    inputs.initrd.release();
}

Result<RunInputs> load_inputs(const RunOptions& options, const Log& log) {
    if (auto done = check_writable(options.metrics, "--metrics"); !done) return std::unexpected(done.error());
    if (auto done = check_writable(options.trace_io, "--trace-io"); !done)
        return std::unexpected(done.error());
    if (auto done = check_writable(options.snapshot, "--snapshot"); !done)
        return std::unexpected(done.error());
    RunInputs inputs{.kernel = {},
                     .initrd = {},
                     .firmware = {},
                     .variables = {},
                     .direct_kernel = {},
                     .disks = {},
                     .restore = {}};
    if (!options.restore.empty()) {
        auto snapshot = SnapshotFile::open(options.restore);
        if (!snapshot) return std::unexpected(snapshot.error());
        inputs.restore = std::move(*snapshot);
    }
    if (auto done = load_images(options, inputs); !done) return std::unexpected(done.error());
    if (auto done = options.boot == BootMethod::uefi ? prepare_uefi(options, log, inputs)
                                                     : load_direct_kernel(options, inputs);
        !done)
        return std::unexpected(done.error());
    if (auto done = check_distinct(options.disks); !done) return std::unexpected(done.error());
    for (const DiskOption& option : options.disks) {
        auto disk = open_disk({.path = option.path,
                               .read_only = option.read_only,
                               .direct = option.direct,
                               .warn = [&log](const std::string& text) { log.warning(text); }});
        if (!disk) return std::unexpected(disk.error());
        inputs.disks.push_back(std::move(*disk));
    }
    return inputs;
}

}  // namespace exo::vmm
