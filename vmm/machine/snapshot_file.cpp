#include "vmm/machine/snapshot_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "vmm/base/digest.h"
#include "vmm/base/state_archive.h"

namespace exo::vmm {
namespace {

namespace fs = std::filesystem;

constexpr char magic[] = {'E', 'X', 'O', 'S', 'N', 'A', 'P', '\n'};
constexpr std::uint64_t page = 4096;
/// Of facts and state together: the largest flash, and far more than all else.
constexpr std::uint64_t max_state = 64ull << 20;
constexpr std::size_t max_facts = 64;
constexpr std::size_t max_text = 4096;

std::uint64_t whole_pages(std::uint64_t size) {
    return (size + page - 1) / page * page;
}

void set_digest(SnapshotFile::Header& header, std::span<const std::byte> facts_and_state) {
    Digest digest;
    digest.add(std::as_bytes(std::span(&header, 1)).first(offsetof(SnapshotFile::Header, digest)));
    digest.add(facts_and_state);
    header.digest[0] = digest.low();
    header.digest[1] = digest.high();
}

void exchange(StateArchive& archive, std::vector<SnapshotFact>& facts) {
    archive.sequence(facts, max_facts, [&](SnapshotFact& fact) {
        archive.sequence(fact.name, max_text);
        archive.sequence(fact.value, max_text);
    });
}

/// The error's number, 0 for none.
int write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return 0;
}

int read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got < 0 ? errno : EIO;
        bytes = bytes.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return 0;
}

bool is_zero(std::span<const std::byte> bytes) {
    return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0 &&
           bytes.front() == std::byte{0};
}

/// All but pages of zeroes, in pieces as long as they come.
int write_memory(int fd, std::span<const std::byte> memory, std::uint64_t offset) {
    std::uint64_t start = 0;  // of the piece that ends at `at`
    for (std::uint64_t at = 0; at <= memory.size(); at += page) {
        if (at < memory.size() && !is_zero(memory.subspan(at, page))) continue;
        if (const int error = write_at(fd, memory.subspan(start, at - start), offset + start); error != 0)
            return error;
        start = at + page;
    }
    return 0;
}

/// A new name in a folder is as durable as the folder.
void sync_folder(const fs::path& path) {
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) ::fsync(fd.get());
}

std::unexpected<Error> not_whole(std::string why) {
    return fail("it is no whole snapshot", std::move(why));
}

}  // namespace

Result<SnapshotFile::Header> SnapshotFile::parse_header(std::span<const std::byte> bytes,
                                                        std::uint64_t file_size) {
    Header header{};
    const std::size_t known = std::min(bytes.size(), sizeof(header));
    std::ranges::copy(bytes.first(known), std::as_writable_bytes(std::span(&header, 1)).begin());
    if (!std::ranges::equal(header.magic, magic)) return not_whole("it is a file of another kind");
    if (known < sizeof(header)) return not_whole("it is cut off");
    if (header.format != format)
        return fail("it is of another version",
                    fmt::format("its format is {}, and this vmm knows format {}", header.format, format));
    const std::uint64_t sizes = header.facts_size + header.state_size;
    if (header.header_size != sizeof(header) || header.facts_size > max_state ||
        header.state_size > max_state || sizes > max_state ||
        header.memory_offset != whole_pages(sizeof(header) + sizes))
        return not_whole("its header is damaged");
    if (file_size < header.memory_offset || file_size - header.memory_offset != header.memory_size ||
        header.memory_size % page != 0)
        return not_whole("its length is wrong, as if it were cut off");
    return header;
}

bool SnapshotFile::is_whole(const Header& header, std::span<const std::byte> facts_and_state) {
    Header expected = header;
    set_digest(expected, facts_and_state);
    return std::ranges::equal(expected.digest, header.digest);
}

Result<std::vector<SnapshotFact>> SnapshotFile::parse_facts(std::span<const std::byte> bytes) {
    std::vector<SnapshotFact> facts;
    StateArchive archive(bytes);
    exchange(archive, facts);
    if (auto done = archive.finish(); !done) return std::unexpected(done.error());
    return facts;
}

Result<SnapshotFile> SnapshotFile::open(const fs::path& path) {
    const std::string what = fmt::format("cannot restore {}", path.string());
    const auto refused = [&](const Error& error) {
        return fail(what, fmt::format("{}: {}", error.what, error.why), error.action);
    };
    SnapshotFile snapshot;
    snapshot.path_ = path;
    snapshot.file_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status{};
    if (!snapshot.file_ || ::fstat(snapshot.file_.get(), &status) != 0) return fail_errno(what, errno);
    if (!S_ISREG(status.st_mode)) return fail(what, "it is not a file");
    const auto size = static_cast<std::uint64_t>(status.st_size);
    std::vector<std::byte> first(std::min<std::uint64_t>(size, sizeof(Header)));
    if (const int error = read_at(snapshot.fd(), first, 0); error != 0) return fail_errno(what, error);
    const auto header = parse_header(first, size);
    if (!header) return refused(header.error());
    snapshot.header_ = *header;
    snapshot.bytes_.resize(header->facts_size + header->state_size);
    if (const int error = read_at(snapshot.fd(), snapshot.bytes_, sizeof(Header)); error != 0)
        return fail_errno(what, error);
    if (!is_whole(*header, snapshot.bytes_)) return fail(what, "it is damaged: its digest is another");
    auto facts = parse_facts(std::span(snapshot.bytes_).first(header->facts_size));
    if (!facts) return refused(facts.error());
    snapshot.facts_ = std::move(*facts);
    return snapshot;
}

Result<void> SnapshotFile::check(const std::vector<SnapshotFact>& facts) const {
    const std::string what = fmt::format("cannot restore {}", path_);
    for (const SnapshotFact& fact : facts) {
        const auto same = std::ranges::find(facts_, fact.name, &SnapshotFact::name);
        if (same == facts_.end()) return fail(what, fmt::format("it does not tell its {}", fact.name));
        if (*same != fact)
            return fail(
                what,
                fmt::format("its {} is {}, and this machine's is {}", fact.name, same->value, fact.value),
                "Give the options of the run that made it, on the same host and with the same vmm.");
    }
    return {};
}

Result<void> SnapshotFile::write(const fs::path& path, std::vector<SnapshotFact> facts,
                                 std::span<const std::byte> state, std::span<const std::byte> memory) {
    const std::string what = fmt::format("cannot write the snapshot {}", path.string());
    StateArchive archive;
    exchange(archive, facts);
    std::vector<std::byte> bytes = archive.saved();
    Header header{.magic = {},
                  .format = format,
                  .header_size = sizeof(Header),
                  .facts_size = bytes.size(),
                  .state_size = state.size(),
                  .memory_offset = whole_pages(sizeof(Header) + bytes.size() + state.size()),
                  .memory_size = memory.size(),
                  .digest = {}};
    std::ranges::copy(magic, header.magic);
    bytes.insert(bytes.end(), state.begin(), state.end());
    set_digest(header, bytes);

    // A name that nobody else has, also where processes of several machines share the folder: whoever renames
    // last has made the snapshot.
    std::string beside = path.string() + ".new.XXXXXX";
    const FileDescriptor file(::mkostemp(beside.data(), O_CLOEXEC));
    if (!file) return fail_errno(what, errno, "Name a file in a folder that exists and can be written to.");
    int error = ::ftruncate(file.get(), static_cast<off_t>(header.memory_offset + header.memory_size)) == 0
                    ? 0
                    : errno;
    if (error == 0) error = write_at(file.get(), std::as_bytes(std::span(&header, 1)), 0);
    if (error == 0) error = write_at(file.get(), bytes, sizeof(header));
    if (error == 0) error = write_memory(file.get(), memory, header.memory_offset);
    if (error == 0 && (::fsync(file.get()) != 0 || ::rename(beside.c_str(), path.c_str()) != 0))
        error = errno;
    if (error != 0) {
        ::unlink(beside.c_str());
        return fail_errno(what, error);
    }
    sync_folder(path);
    return {};
}

}  // namespace exo::vmm
