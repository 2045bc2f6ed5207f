#include "firmware/search.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace exo::firmware {
namespace {

namespace fs = std::filesystem;

constexpr char install[] =
    "Install stock OVMF (Debian: apt install ovmf), or name a build with --firmware FILE.";

std::string read_text(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return std::move(text).str();
}

/// Descriptors by file name; the most specific one of each name.
std::map<std::string, fs::path> list_descriptors(const std::vector<fs::path>& folders) {
    std::map<std::string, fs::path> found;
    for (const fs::path& folder : folders) {
        std::error_code error;
        for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
            if (entry.path().extension() == ".json") found.emplace(entry.path().filename(), entry.path());
    }
    std::erase_if(found, [](const auto& entry) {
        std::error_code error;
        return fs::file_size(entry.second, error) == 0;
    });
    return found;
}

std::string missing_file(const Build& build) {
    for (const fs::path& file : {build.code, build.variables}) {
        std::error_code error;
        if (!file.empty() && !fs::exists(file, error)) return file;
    }
    return {};
}

/// The variable store beside `code`: OVMF_CODE_4M.fd has OVMF_VARS_4M.fd, and so has OVMF_CODE_4M.secboot.fd.
std::vector<fs::path> variables_beside(const fs::path& code) {
    std::string name = code.filename();
    const std::size_t at = name.find("CODE");
    if (at == std::string::npos) return {};
    name.replace(at, 4, "VARS");
    std::vector<fs::path> candidates{code.parent_path() / name};
    const std::string plain = fs::path(name).stem().stem();
    candidates.push_back(code.parent_path() / (plain + fs::path(name).extension().string()));
    return candidates;
}

/// Why the descriptors say that the file does not fit; empty when they do not.
std::string known_unfit(const fs::path& code, const std::vector<fs::path>& folders) {
    for (const auto& [name, path] : list_descriptors(folders)) {
        const std::string text = read_text(path);
        const auto fitting = parse_descriptor(text);
        if (fitting) continue;
        const auto root = nlohmann::json::parse(text, nullptr, false);
        const auto pointer = nlohmann::json::json_pointer("/mapping/executable/filename");
        std::error_code error;
        if (root.is_object() && root.contains(pointer) && root[pointer].is_string() &&
            fs::equivalent(root[pointer].get<std::string>(), code, error))
            return fitting.error();
    }
    return {};
}

}  // namespace

std::vector<fs::path> descriptor_folders() {
    std::vector<fs::path> folders;
    if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config == '/')
        folders.push_back(fs::path(config) / "qemu/firmware");
    else if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
        folders.push_back(fs::path(home) / ".config/qemu/firmware");
    folders.emplace_back("/etc/qemu/firmware");
    folders.emplace_back("/usr/share/qemu/firmware");
    return folders;
}

Search search(const std::vector<fs::path>& folders) {
    Search result;
    for (const auto& [name, path] : list_descriptors(folders)) {
        auto build = parse_descriptor(read_text(path));
        std::string reason;
        if (!build)
            reason = build.error();
        else if (const std::string missing = missing_file(*build); !missing.empty())
            reason = fmt::format("its file {} does not exist", missing);
        if (!reason.empty()) {
            result.passed_over.push_back({path, reason});
            continue;
        }
        result.chosen = std::move(*build);
        result.chosen->origin = path;
        break;
    }
    return result;
}

vmm::Result<Build> choose(const std::vector<fs::path>& folders) {
    Search result = search(folders);
    if (result.chosen) return std::move(*result.chosen);
    if (result.passed_over.empty()) {
        std::string places;
        for (const fs::path& folder : folders) places += (places.empty() ? "" : ", ") + folder.string();
        return vmm::fail("no UEFI firmware was found", "there is no firmware descriptor in " + places,
                         install);
    }
    std::string reasons;
    for (const PassedOver& one : result.passed_over)
        reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", one.descriptor.filename().string(),
                               one.reason);
    return vmm::fail("no fitting UEFI firmware was found", reasons, install);
}

vmm::Result<Build> named(const fs::path& code, const std::vector<fs::path>& folders) {
    const std::string what = fmt::format("firmware {} cannot be used", code.string());
    std::error_code error;
    if (!fs::exists(code, error)) return vmm::fail(what, "there is no such file", install);
    if (!fs::is_regular_file(code, error)) return vmm::fail(what, "it is not a file", install);
    if (const std::string reason = known_unfit(code, folders); !reason.empty())
        return vmm::fail(what, reason, "Leave --firmware out to have a fitting build chosen.");
    Build build{.code = code, .variables = {}, .description = "named by --firmware", .origin = {}};
    for (const fs::path& candidate : variables_beside(code)) {
        if (!fs::exists(candidate, error)) continue;
        build.variables = candidate;
        break;
    }
    return build;
}

}  // namespace exo::firmware
