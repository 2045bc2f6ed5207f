#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <utility>

namespace exo::vmm {

/// Why something failed, for a person: `what` failed on what, `why`, and what to do (`action`, may be empty).
struct Error {
    std::string what;
    std::string why;
    std::string action;

    /// One sentence each, as the command line prints them.
    std::string message() const {
        std::string text = what + ": " + why;
        if (!action.empty()) text += "\n  " + action;
        return text;
    }
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string what, std::string why, std::string action = {}) {
    return std::unexpected(Error{std::move(what), std::move(why), std::move(action)});
}

/// As `fail`, with the reason that `errno` (or the given number) stands for.
inline std::unexpected<Error> fail_errno(std::string what, int number, std::string action = {}) {
    return fail(std::move(what), std::strerror(number), std::move(action));
}

}  // namespace exo::vmm
