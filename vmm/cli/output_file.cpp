#include "vmm/cli/output_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace exo::vmm {
namespace {

namespace fs = std::filesystem;

std::string failure(const std::string& path, const char* option) {
    return fmt::format("cannot write {} to {}", option, path);
}

}  // namespace

Result<void> check_writable(const std::string& path, const char* option) {
    if (path.empty()) return {};
    const std::string what = failure(path, option);
    std::error_code error;
    if (fs::is_directory(path, error)) return fail(what, "it is a folder", "Name a file.");
    if (fs::exists(path, error)) {
        if (::access(path.c_str(), W_OK) != 0) return fail_errno(what, errno, "Name another file.");
        return {};
    }
    const fs::path parent = fs::path(path).parent_path();
    if (::access(parent.empty() ? "." : parent.c_str(), W_OK | X_OK) != 0)
        return fail_errno(what, errno, "Name a file in a folder that exists and can be written to.");
    return {};
}

Result<void> write_document(const std::string& path, const char* option, std::string_view document) {
    std::error_code error;
    const bool whole = !fs::exists(path, error) || fs::is_regular_file(path, error);
    const std::string file = whole ? path + ".new" : path;
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << document;
    out.close();
    if (!out) return fail_errno(failure(path, option), errno);
    if (whole) fs::rename(file, path, error);
    if (whole && error) return fail(failure(path, option), error.message());
    return {};
}

}  // namespace exo::vmm
