#include "vmm/cli/firmware_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "vmm/base/digest.h"

namespace exo::vmm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view suffix = ".snapshot";
/// What a process that died while it wrote has left; others need seconds.
constexpr std::time_t abandoned_after = 3600;

struct Entry {
    fs::path path;
    std::uint64_t bytes;
    std::time_t used;
};

bool is_ours(const fs::path& path) {
    return path.filename().string().find(suffix) != std::string::npos;
}

std::vector<Entry> entries_of(const fs::path& folder) {
    std::vector<Entry> entries;
    std::error_code error;
    for (const auto& file : fs::directory_iterator(folder, error)) {
        struct stat status{};
        if (!is_ours(file.path()) || ::stat(file.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        constexpr std::uint64_t block = 512;
        entries.push_back(
            {file.path(), static_cast<std::uint64_t>(status.st_blocks) * block, status.st_mtime});
    }
    return entries;
}

}  // namespace

fs::path FirmwareCache::default_folder() {
    const auto variable = [](const char* name) {
        const char* const value = std::getenv(name);
        return fs::path(value != nullptr && value[0] == '/' ? value : "");
    };
    if (const fs::path base = variable("XDG_CACHE_HOME"); !base.empty()) return base / "exo-os" / "firmware";
    if (const fs::path home = variable("HOME"); !home.empty()) return home / ".cache" / "exo-os" / "firmware";
    return {};
}

Result<FirmwareCache> FirmwareCache::open(const fs::path& folder, std::uint64_t limit) {
    const std::string what = fmt::format("cannot use the firmware cache {}", folder.string());
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return fail(what, error.message());
    if (::access(folder.c_str(), W_OK | X_OK) != 0) return fail_errno(what, errno);
    return FirmwareCache(folder, limit);
}

fs::path FirmwareCache::place(const std::vector<SnapshotFact>& facts) const {
    Digest digest;
    for (const SnapshotFact& fact : facts) {
        digest.add(fact.name);
        digest.add(fact.value);
    }
    return folder_ / (digest.hex() + std::string(suffix));
}

Result<SnapshotFile> FirmwareCache::find(const std::vector<SnapshotFact>& facts) const {
    const fs::path path = place(facts);
    auto snapshot = SnapshotFile::open(path);
    if (!snapshot) return snapshot;
    if (auto fits = snapshot->check(facts); !fits) return std::unexpected(fits.error());
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // used now
    return snapshot;
}

void FirmwareCache::trim() const {
    std::vector<Entry> entries = entries_of(folder_);
    std::ranges::sort(entries, std::ranges::greater{}, &Entry::used);
    const std::time_t now = std::time(nullptr);
    std::uint64_t sum = 0;
    for (const Entry& entry : entries) {
        const bool unfinished = entry.path.extension() != suffix;
        sum += entry.bytes;
        if (unfinished ? now - entry.used > abandoned_after : sum > limit_) ::unlink(entry.path.c_str());
    }
}

}  // namespace exo::vmm
