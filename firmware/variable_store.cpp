#include "firmware/variable_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "firmware/volumes.h"

namespace exo::firmware {
namespace {

namespace fs = std::filesystem;
using vmm::FileDescriptor;

std::string cannot_use(const fs::path& path) {
    return fmt::format("cannot use --variables {}", path.string());
}

bool same_file(int fd, const fs::path& path) {
    struct stat open{};
    struct stat named{};
    return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

/// Opens and locks a file; an empty descriptor when there is none. The name may stand for another file by the
/// time that this one is locked: then that one counts.
vmm::Result<FileDescriptor> open_locked(const fs::path& path, int flags, mode_t mode = 0) {
    for (;;) {
        FileDescriptor file(::open(path.c_str(), flags | O_RDWR | O_CLOEXEC, mode));
        if (!file && errno == ENOENT && (flags & O_CREAT) == 0) return FileDescriptor();
        if (!file) return vmm::fail_errno(cannot_use(path), errno);
        if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) return vmm::fail_errno(cannot_use(path), errno);
            return vmm::fail(cannot_use(path), "another vmm is using it",
                             "Give each guest a file of its own.");
        }
        if (same_file(file.get(), path)) return file;
    }
}

/// The error's number, 0 for none.
int write_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return 0;
}

vmm::Result<void> read_all(const FileDescriptor& file, const fs::path& path, std::span<std::byte> into) {
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return vmm::fail_errno(cannot_use(path), errno);
    if (!S_ISREG(status.st_mode)) return vmm::fail(cannot_use(path), "it is not a file", "Name a file.");
    if (static_cast<std::uint64_t>(status.st_size) != into.size())
        return vmm::fail(
            cannot_use(path),
            fmt::format("it has {} bytes, and this firmware's variable store has {}", status.st_size,
                        into.size()),
            "Name the file of a guest with this firmware, or the --firmware that it was made with.");
    for (std::size_t done = 0; done < into.size();) {
        const ssize_t got =
            ::pread(file.get(), into.data() + done, into.size() - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return vmm::fail_errno(cannot_use(path), errno);
        if (got == 0) return vmm::fail(cannot_use(path), "it shrank while it was read");
        done += static_cast<std::size_t>(got);
    }
    const auto kind = inspect(into, path);
    if (!kind) return std::unexpected(kind.error());
    if (*kind != ImageKind::variables) return vmm::fail(cannot_use(path), "it is not a variable store");
    return {};
}

/// A new name in a folder is as durable as the folder.
void sync_folder(const fs::path& path) {
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) ::fsync(fd.get());
}

void block_all_signals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

}  // namespace

vmm::Result<std::unique_ptr<VariableStore>> VariableStore::open(
    const fs::path& path, std::span<const std::byte> factory, std::function<void(const vmm::Error&)> failed) {
    if (factory.empty())
        return vmm::fail(cannot_use(path), "this firmware has code and variables in one file",
                         "Choose a build with a variable store of its own, such as OVMF_CODE_4M.fd.");
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (::access(folder.c_str(), W_OK | X_OK) != 0)
        return vmm::fail_errno(cannot_use(path), errno,
                               "Name a file in a folder that exists and can be written to.");
    std::error_code error;
    const fs::path target = fs::weakly_canonical(path, error);  // a link stays one when the file is replaced
    std::unique_ptr<VariableStore> store(new VariableStore(error ? path : target, std::move(failed)));
    if (auto filled = store->fill(factory); !filled) return std::unexpected(filled.error());
    store->saver_ = std::jthread([raw = store.get()](const std::stop_token& stop) {
        block_all_signals();
        raw->save_when_quiet(stop);
    });
    return store;
}

vmm::Result<void> VariableStore::fill(std::span<const std::byte> factory) {
    void* const memory =
        ::mmap(nullptr, factory.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return vmm::fail_errno("no memory for the variables", errno);
    memory_ = {static_cast<std::byte*>(memory), factory.size()};
    auto file = open_locked(path_, 0);
    if (!file) return std::unexpected(file.error());
    locked_ = std::move(*file);
    if (locked_) return read_all(locked_, path_, memory_);
    std::ranges::copy(factory, memory_.begin());
    return replace_file(memory_);
}

VariableStore::~VariableStore() {
    if (saver_.joinable()) {
        saver_.request_stop();
        saver_.join();
        save();
    }
    if (memory_.data() != nullptr) ::munmap(memory_.data(), memory_.size());
}

void VariableStore::program(std::uint64_t offset, std::span<const std::byte> data) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < data.size(); ++i) memory_[offset + i] &= data[i];
    changed();
}

void VariableStore::erase(std::uint64_t offset, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    std::ranges::fill(memory_.subspan(offset, size), std::byte{0xff});
    changed();
}

void VariableStore::changed() {
    unsaved_ = true;
    last_change_ = std::chrono::steady_clock::now();
    if (first_change_) return;
    first_change_ = last_change_;
    wake_.notify_all();
}

void VariableStore::save_when_quiet(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (wake_.wait(lock, stop, [this] { return first_change_.has_value(); }) && !stop.stop_requested()) {
        const auto due = std::min(last_change_ + quiet, *first_change_ + longest_wait);
        if (std::chrono::steady_clock::now() < due) {
            wake_.wait_until(lock, stop, due, [] { return false; });
            continue;
        }
        lock.unlock();
        save();
        lock.lock();
    }
}

void VariableStore::save() {
    const std::lock_guard one_writer(saving_);
    std::vector<std::byte> content;
    {
        const std::lock_guard lock(mutex_);
        first_change_.reset();
        if (!std::exchange(unsaved_, false)) return;
        content.assign(memory_.begin(), memory_.end());
    }
    if (const auto done = replace_file(content); !done) {
        failed_(done.error());
        const std::lock_guard lock(mutex_);
        unsaved_ = true;
    }
}

vmm::Result<void> VariableStore::replace_file(std::span<const std::byte> content) {
    const std::string what = fmt::format("cannot save the guest's variables to {}", path_.string());
    fs::path beside = path_;
    beside += ".new";
    constexpr char kept[] = "The file keeps the variables of its last saving.";
    // Locked before it gets the name, so that no other vmm can take it in between.
    auto file = open_locked(beside, O_CREAT, S_IRUSR | S_IWUSR);
    if (!file) return std::unexpected(file.error());
    struct stat before{};
    if (locked_ && ::fstat(locked_.get(), &before) == 0) ::fchmod(file->get(), before.st_mode & 0777);
    if (!locked_ && ::access(path_.c_str(), F_OK) == 0)
        return vmm::fail(what, "another vmm made it just now", "Give each guest a file of its own.");
    if (::ftruncate(file->get(), 0) != 0) return vmm::fail_errno(what, errno, kept);
    if (const int error = write_all(file->get(), content); error != 0)
        return vmm::fail_errno(what, error, kept);
    if (::fsync(file->get()) != 0 || ::rename(beside.c_str(), path_.c_str()) != 0)
        return vmm::fail_errno(what, errno, kept);
    sync_folder(path_);
    locked_ = std::move(*file);
    return {};
}

}  // namespace exo::firmware
