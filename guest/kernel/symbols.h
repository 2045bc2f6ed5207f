#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/boot/elf.h"
#include "guest/kernel/format.h"

namespace exo::guest {

/// The functions in an ELF file's symbol table. It refers to the file's memory. A broken file has none.
class Symbols {
  public:
    struct Match {
        std::string_view name;  ///< as the linker knows it
        std::uint64_t offset;   ///< of the address from the function's start
    };

    Symbols() = default;
    explicit Symbols(const elf::Image& image);

    std::optional<Match> find(std::uint64_t address) const;
    std::size_t count() const { return symbols_.size(); }

    /// Bytes that `copy_to` needs.
    std::size_t copy_size() const { return symbols_.size_bytes() + names_.size(); }
    /// The same symbols in memory of their own, aligned for 8 bytes, of at least `copy_size()`.
    Symbols copy_to(std::span<std::byte> memory) const;

  private:
    std::span<const elf::Symbol> symbols_;
    std::string_view names_;
};

/// The kernel's own symbols, for backtraces.
const Symbols& kernel_symbols();
void set_kernel_symbols(const Symbols& symbols);

/// Prints the function that an address of the kernel lies in: "exo::guest::panic + 0x1c".
struct Location {
    std::uintptr_t address;
    /// It is where a call returns to. The call itself lies before it, maybe at the end of its function.
    bool is_return = false;
};
void format_value(TextSink& sink, const Location& location);

/// Prints a symbol as C++ writes the name, without parameters: "_ZN3exo5guest3RunEv" is "exo::guest::Run".
/// What it cannot read it prints as it is.
struct Demangled {
    std::string_view symbol;
};
void format_value(TextSink& sink, const Demangled& demangled);

}  // namespace exo::guest
