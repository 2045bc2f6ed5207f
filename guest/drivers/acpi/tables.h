#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/error.h"

namespace exo::guest::acpi {

/// The kernel's view of physical memory that firmware filled.
class PhysicalMemory {
  public:
    virtual ~PhysicalMemory() = default;
    /// `size` bytes at a guest-physical address, for as long as the kernel runs; an error when they are not
    /// memory.
    virtual Result<std::span<const std::byte>> view(std::uint64_t physical, std::size_t size) = 0;
};

/// One table with its header; its length and checksum are right.
struct Table {
    std::array<char, 4> signature = {};
    std::span<const std::byte> bytes = {};

    std::string_view name() const { return {signature.data(), signature.size()}; }
};

inline constexpr std::size_t table_header_size = 36;

/// The tables that the firmware's root names (ACPI specification 6.5, 5.2). Nothing in them is believed:
/// a table with a wrong length or checksum is left out and counted, and there is an end to all loops.
class Tables {
  public:
    static constexpr std::size_t max_tables = 64;
    static constexpr std::size_t max_table_size = std::size_t{4} << 20;

    /// Reads the root pointer at `rsdp` and all tables behind it. Fails when there is no valid root.
    static Result<Tables> read(PhysicalMemory& memory, std::uint64_t rsdp);

    /// The `index`th valid table of that name; nullptr when there is none.
    const Table* find(std::string_view name, std::size_t index = 0) const;
    std::span<const Table> all() const { return {tables_.data(), count_}; }
    unsigned revision() const { return revision_; }
    /// Tables that were left out.
    std::size_t rejected() const { return rejected_; }

    /// Adds the table at an address outside of the root's list (the DSDT, which the FADT names).
    void add(PhysicalMemory& memory, std::uint64_t physical);

  private:
    void read_root(PhysicalMemory& memory, const Table& root, std::size_t entry_size);

    std::array<Table, max_tables> tables_;
    std::size_t count_ = 0;
    std::size_t rejected_ = 0;
    unsigned revision_ = 0;
};

}  // namespace exo::guest::acpi
