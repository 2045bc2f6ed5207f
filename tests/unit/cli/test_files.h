#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace exo::vmm {

/// A folder of its own, removed at the end.
class TestFolder {
  public:
    TestFolder() {
        std::string name = std::filesystem::temp_directory_path() / "vmm-cli-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;
    ~TestFolder() { std::filesystem::remove_all(path_); }

    std::string put(const std::string& name, const std::string& content) const {
        std::ofstream(path_ / name, std::ios::binary) << content;
        return path_ / name;
    }
    std::string operator/(const std::string& name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

/// The headers of an EFI application for x86_64, as far as anyone looks at them, and one section.
inline std::string efi_application() {
    constexpr std::size_t header = 0x80;
    std::string image(1024, '\0');
    image.replace(0, 2, "MZ");
    image[0x3c] = static_cast<char>(header);
    image.replace(header, 2, "PE");
    image.replace(header + 4, 2, "\x64\x86");
    image.replace(header + 24, 2, "\x0b\x02");
    image[header + 6] = 1;  // section
    image[header + 24 + 68] = 10;
    constexpr std::size_t section = header + 24;  // the optional header says that it has no bytes
    static_assert(section + 24 <= header + 24 + 68);
    image.replace(section + 16, 8, std::string_view("\0\x02\0\0\0\x02\0\0", 8));  // 512 bytes from 512 on
    return image;
}

}  // namespace exo::vmm
