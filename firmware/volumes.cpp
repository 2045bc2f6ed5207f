#include "firmware/volumes.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace exo::firmware {
namespace {

constexpr std::size_t guid_offset = 16;
constexpr std::size_t length_offset = 32;
constexpr std::size_t signature_offset = 40;
constexpr std::size_t header_size = 56;
constexpr std::size_t page = 4096;
constexpr char reinstall[] =
    "Install it anew (Debian: apt install --reinstall ovmf), or name another with --firmware.";

/// EFI_SYSTEM_NV_DATA_FV_GUID, fff12b8d-7696-4c8b-a985-2747075b4f50, as it lies in memory.
constexpr std::array<unsigned char, 16> variable_store = {0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c,
                                                          0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50};

bool is_volume(std::span<const std::byte> at) {
    return at.size() >= header_size && std::memcmp(at.data() + signature_offset, "_FVH", 4) == 0;
}

/// The processor starts 16 bytes below the end. An image cut between two volumes ends in erased flash.
bool has_reset_vector(std::span<const std::byte> image) {
    const auto end = image.last(16);
    return !std::ranges::all_of(end, [&](std::byte byte) { return byte == end[0]; });
}

}  // namespace

vmm::Result<ImageKind> inspect(std::span<const std::byte> image, const std::string& name) {
    const std::string what = fmt::format("firmware {} cannot be used", name);
    if (!is_volume(image))
        return vmm::fail(what, image.empty() ? "it is empty" : "it holds no UEFI firmware volume", reinstall);

    bool variables = false;
    bool code = false;
    for (std::size_t offset = 0; offset < image.size();) {
        const auto rest = image.subspan(offset);
        std::uint64_t length = 0;
        if (is_volume(rest)) std::memcpy(&length, rest.data() + length_offset, sizeof(length));
        if (length < header_size || length > rest.size()) {
            return vmm::fail(
                what,
                fmt::format("it is truncated or damaged: the volume at {:#x} goes past its {} bytes", offset,
                            image.size()),
                reinstall);
        }
        const bool store =
            std::memcmp(rest.data() + guid_offset, variable_store.data(), variable_store.size()) == 0;
        (store ? variables : code) = true;
        offset += static_cast<std::size_t>(length);
    }
    if (image.size() % page != 0)
        return vmm::fail(what, fmt::format("its {} bytes are no multiple of {}", image.size(), page),
                         reinstall);
    if (code && !has_reset_vector(image))
        return vmm::fail(what, "it is truncated or damaged: its end holds no reset vector", reinstall);
    if (variables && code) return ImageKind::combined;
    return variables ? ImageKind::variables : ImageKind::code;
}

}  // namespace exo::firmware
