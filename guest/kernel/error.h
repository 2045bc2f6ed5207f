#pragma once

#include <expected>
#include <string_view>

namespace exo::guest {

/// Why something failed, for a person: what failed, why, and what to do (may be empty). The texts live as
/// long as the kernel; who reports the error adds the name of the thing it failed on.
struct Error {
    std::string_view what;
    std::string_view why;
    std::string_view action = {};
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string_view what, std::string_view why,
                                   std::string_view action = {}) {
    return std::unexpected(Error{what, why, action});
}

/// Where `new (std::nothrow)` gave nothing.
inline std::unexpected<Error> out_of_memory(std::string_view what) {
    return fail(what, "the kernel has no memory left for it");
}

}  // namespace exo::guest
