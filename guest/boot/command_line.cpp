#include "guest/boot/command_line.h"

#include "guest/boot/utf.h"

namespace exo::guest::uefi {
namespace {

constexpr const char* what = "command line";

bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool ends_with_efi(const char* text, size_t size) {
    if (size < 4 || text[size - 4] != '.') return false;
    const auto is = [&](size_t from_end, char lower) { return (text[size - from_end] | 0x20) == lower; };
    return is(3, 'e') && is(2, 'f') && is(1, 'i');
}

/// Drops the first `count` bytes and the blanks at both ends.
void trim(CommandLineText& line, size_t count) {
    while (count < line.size && blank(line.text[count])) ++count;
    while (line.size > count && blank(line.text[line.size - 1])) --line.size;
    line.size -= count;
    __builtin_memmove(line.text, line.text + count, line.size);
}

Status read_load_options(const Firmware& firmware, CommandLineText& line) {
    const LoadedImage& loaded = *firmware.loaded;
    if (loaded.load_options == nullptr) return Status::success;
    const size_t units = loaded.load_options_size / sizeof(Char16);
    // Three bytes of UTF-8 come from one unit at most, so a longer text cannot fit and a shorter one may.
    line.size =
        utf16_to_utf8(static_cast<const Char16*>(loaded.load_options), units, line.text, line.capacity);
    if (line.size + 3 >= line.capacity)
        return report(firmware, Status::bad_buffer_size, what, "the load options are longer than 4 KiB");
    trim(line, 0);
    size_t word = 0;
    while (word < line.size && !blank(line.text[word])) ++word;
    if (ends_with_efi(line.text, word)) trim(line, word);
    return Status::success;
}

/// The path of `cmdline.txt` beside the image; false when the firmware does not say where the image lay.
bool path_beside_image(const Firmware& firmware, Char16* path, size_t capacity) {
    constexpr Char16 name[] = u"cmdline.txt";
    size_t used = 0;
    const DevicePath* node = firmware.loaded->file_path;
    if (node == nullptr) return false;
    for (; node->type == DevicePath::type_media && node->sub_type == DevicePath::media_file_path;
         node = node->next()) {
        const auto* const text = reinterpret_cast<const Char16*>(node + 1);
        if (node->size() <= sizeof(*node)) return false;
        for (size_t i = 0; i < (node->size() - sizeof(*node)) / sizeof(Char16) && text[i] != 0; ++i) {
            if (used == capacity) return false;
            path[used++] = text[i];
        }
    }
    if (used == 0) return false;
    while (used > 0 && path[used - 1] != u'\\' && path[used - 1] != u'/') --used;
    if (used + sizeof(name) / sizeof(Char16) > capacity) return false;
    __builtin_memcpy(path + used, name, sizeof(name));
    return true;
}

/// Reads from an open file; one byte more than fits tells that it is too long.
Status read_file(const Firmware& firmware, File* file, CommandLineText& line) {
    line.size = line.capacity;
    const Status status = file->read(file, &line.size, line.text);
    if (status != Status::success) return report(firmware, status, what, "cmdline.txt cannot be read");
    if (line.size == line.capacity)
        return report(firmware, Status::bad_buffer_size, what, "cmdline.txt is longer than 4095 bytes");
    constexpr char byte_order_mark[] = "\xef\xbb\xbf";
    const bool marked = line.size >= 3 && __builtin_memcmp(line.text, byte_order_mark, 3) == 0;
    trim(line, marked ? 3 : 0);
    return Status::success;
}

}  // namespace

Status read_command_line(const Firmware& firmware, CommandLineText& line) {
    const Status status = read_load_options(firmware, line);
    if (status != Status::success || line.size > 0) return status;
    Char16 path[260];
    auto* const volume = firmware.protocol<SimpleFileSystem>(firmware.loaded->device);
    if (volume == nullptr || !path_beside_image(firmware, path, sizeof(path) / sizeof(*path)))
        return Status::success;
    File* root = nullptr;
    if (volume->open_volume(volume, &root) != Status::success) return Status::success;
    File* file = nullptr;
    const Status opened = root->open(root, &file, path, File::mode_read, 0);
    Status result = Status::success;
    if (opened == Status::success) {
        result = read_file(firmware, file, line);
        file->close(file);
    } else if (opened != Status::not_found) {
        result = report(firmware, opened, what, "cmdline.txt cannot be opened");
    }
    root->close(root);
    return result;
}

}  // namespace exo::guest::uefi
