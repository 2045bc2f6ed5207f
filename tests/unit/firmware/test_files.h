#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace exo::firmware {

/// A folder of its own, removed at the end.
class TestFolder {
  public:
    TestFolder() {
        std::string name = std::filesystem::temp_directory_path() / "firmware-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;
    ~TestFolder() { std::filesystem::remove_all(path_); }

    std::filesystem::path put(const std::string& name, const std::string& content) const {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name, std::ios::binary) << content;
        return path_ / name;
    }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

/// A firmware volume of `size` bytes, all `fill` but its header.
inline std::string volume(std::uint64_t size, bool variable_store, char fill = '\xff') {
    std::string bytes(size, fill);
    const char store[] = "\x8d\x2b\xf1\xff\x96\x76\x8b\x4c\xa9\x85\x27\x47\x07\x5b\x4f\x50";
    if (variable_store) bytes.replace(16, 16, store, 16);
    std::memcpy(bytes.data() + 32, &size, sizeof(size));
    bytes.replace(40, 4, "_FVH");
    return bytes;
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    if (at == std::string::npos) std::abort();
    return text.replace(at, from.size(), to);
}

/// As Debian's descriptor of the build without Secure Boot.
inline std::string descriptor(const std::string& code = "/c/OVMF_CODE_4M.fd",
                              const std::string& variables = "/c/OVMF_VARS_4M.fd") {
    const std::string text = R"({
        "description": "UEFI firmware for x86_64",
        "interface-types": ["uefi"],
        "mapping": {"device": "flash",
                    "executable": {"filename": "CODE", "format": "raw"},
                    "nvram-template": {"filename": "VARS", "format": "raw"}},
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": ["acpi-s3", "amd-sev", "verbose-dynamic"],
        "tags": []})";
    return replaced(replaced(text, "CODE", code), "VARS", variables);
}

}  // namespace exo::firmware
