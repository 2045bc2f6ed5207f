#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"

namespace exo::vmm {

/// Something that a machine and its snapshot must have in common: "cpus", "2".
struct SnapshotFact {
    std::string name;
    std::string value;
    bool operator==(const SnapshotFact&) const = default;
};

/// A machine that stood still, in a file:
///
///     header                  SnapshotHeader
///     facts and state         bytes of two StateArchives, one after the other; the header has their digest
///     guest memory            from a page's start to the end of the file; pages of zeroes are holes
///
/// Memory is mapped and comes page by page as the guest touches it, so it has no digest: a damaged medium is
/// found in the state and in a length that is wrong, not in memory. The file may come from anywhere: all of
/// it is checked before it is used.
class SnapshotFile {
  public:
    static constexpr std::uint32_t format = 1;

    struct Header {
        char magic[8];
        std::uint32_t format;
        std::uint32_t header_size;
        std::uint64_t facts_size;
        std::uint64_t state_size;
        std::uint64_t memory_offset;  ///< in the file, a multiple of the page size
        std::uint64_t memory_size;
        std::uint64_t digest[2];  ///< of the fields before it, facts and state
    };
    static_assert(sizeof(Header) == 64);

    /// Checks the beginning of a file of `file_size` bytes; the errors say what is wrong with it.
    static Result<Header> parse_header(std::span<const std::byte> bytes, std::uint64_t file_size);
    /// Whether facts and state are what was written.
    static bool is_whole(const Header& header, std::span<const std::byte> facts_and_state);
    static Result<std::vector<SnapshotFact>> parse_facts(std::span<const std::byte> bytes);

    static Result<SnapshotFile> open(const std::filesystem::path& path);
    /// Puts it in the place of whatever has that name, at once and whole, also when the host dies meanwhile.
    static Result<void> write(const std::filesystem::path& path, std::vector<SnapshotFact> facts,
                              std::span<const std::byte> state, std::span<const std::byte> memory);

    /// Whether it is a snapshot of a machine with these facts; the error names the first that differs.
    Result<void> check(const std::vector<SnapshotFact>& facts) const;

    const std::string& path() const { return path_; }
    std::span<const std::byte> state() const { return std::span(bytes_).subspan(header_.facts_size); }
    int fd() const { return file_.get(); }
    std::uint64_t memory_offset() const { return header_.memory_offset; }
    std::uint64_t memory_size() const { return header_.memory_size; }

  private:
    SnapshotFile() = default;

    std::string path_;
    FileDescriptor file_;
    Header header_{};
    std::vector<std::byte> bytes_;  ///< facts and state
    std::vector<SnapshotFact> facts_;
};

}  // namespace exo::vmm
