#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace exo::guest {

/// How a processor saves the x87, MMX, SSE, AVX and AVX-512 registers with MXCSR and the x87 control word,
/// and how many bytes that takes (Intel SDM volume 1, chapter 13; FXSAVE: 10.5). What is not enabled in XCR0
/// is left out, and so are AMX, whose tiles are too large to save for everybody, and PKRU, which is no such
/// register.
struct SimdFormat {
    enum class Method : std::uint8_t {
        fxsave,    ///< x87 and SSE alone
        xsave,     ///< everything, always
        xsaveopt,  ///< not what is in its initial state or unchanged since it was restored
        xsavec,    ///< not what is in its initial state; compacted
    };

    /// An area is aligned to this.
    static constexpr std::size_t alignment = 64;

    Method method = Method::fxsave;
    std::uint64_t components = 3;  ///< as XCR0 numbers them
    std::size_t bytes = 512;       ///< of an area
    /// Restoring leaves the addresses of the last x87 instruction and operand of another thread in place
    /// (CVE-2006-1056, AMD before XSAVEERPTR).
    bool leaves_x87_pointers = false;

    /// The best method of the processor this runs on, where SSE has to be enabled; XSAVE and its kin are
    /// taken if CR4.OSXSAVE is set.
    static SimdFormat of_this_cpu();
    /// The same by a method of choice, if the processor has it.
    static std::optional<SimdFormat> of_this_cpu(Method method);
};

}  // namespace exo::guest
