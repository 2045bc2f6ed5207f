#include "firmware/descriptor.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace exo::firmware {
namespace {

using Json = nlohmann::json;

/// A machine of the family that the platform models; descriptors name families by patterns.
constexpr const char* machine = "pc-i440fx-9.0";

bool lists(const Json& list, std::string_view word) {
    return std::ranges::any_of(list, [=](const Json& entry) { return entry.get<std::string>() == word; });
}

bool fits_machine(const Json& target) {
    if (target.at("architecture").get<std::string>() != "x86_64") return false;
    return std::ranges::any_of(target.at("machines"), [](const Json& pattern) {
        return ::fnmatch(pattern.get<std::string>().c_str(), machine, 0) == 0;
    });
}

std::string unfit_features(const Json& features) {
    if (lists(features, "requires-smm")) return "it needs SMM, which only the q35 machine has";
    if (lists(features, "secure-boot")) return "it is a Secure Boot build, which needs SMM";
    return {};
}

std::string unfit_mapping(const Json& mapping) {
    const auto device = mapping.at("device").get<std::string>();
    if (device != "flash") return fmt::format("it is mapped as '{}', not as flash", device);
    const auto mode = mapping.value("mode", "split");
    if (mode != "split" && mode != "combined") return fmt::format("its flash is of the kind '{}'", mode);
    for (const char* part : {"executable", "nvram-template"}) {
        if (!mapping.contains(part)) continue;
        const auto format = mapping.at(part).at("format").get<std::string>();
        if (format != "raw")
            return fmt::format("its image is in the format {}, and only raw ones are read", format);
    }
    return {};
}

std::expected<Build, std::string> judge(const Json& root) {
    if (!lists(root.at("interface-types"), "uefi")) return std::unexpected("it is not UEFI firmware");
    if (auto reason = unfit_features(root.at("features")); !reason.empty()) return std::unexpected(reason);
    if (std::ranges::none_of(root.at("targets"), fits_machine))
        return std::unexpected("it is not for an x86_64 machine of the pc-i440fx family");
    const Json& mapping = root.at("mapping");
    if (auto reason = unfit_mapping(mapping); !reason.empty()) return std::unexpected(reason);

    Build build;
    build.description = root.value("description", "");
    build.code = mapping.at("executable").at("filename").get<std::string>();
    if (mapping.value("mode", "split") == "split")
        build.variables = mapping.at("nvram-template").at("filename").get<std::string>();
    return build;
}

}  // namespace

std::expected<Build, std::string> parse_descriptor(std::string_view json) try {
    return judge(Json::parse(json));
} catch (const Json::exception& error) {
    return std::unexpected(fmt::format("it is not a firmware descriptor ({})", error.what()));
}

}  // namespace exo::firmware
