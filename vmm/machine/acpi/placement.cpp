#include "vmm/machine/acpi/placement.h"

#include <numeric>
#include <span>
#include <string_view>

#include "vmm/base/byte_view.h"
#include "vmm/machine/acpi/table_loader_commands.h"

namespace exo::vmm::acpi {
namespace {

constexpr std::size_t alignment = 64;

constexpr std::size_t tables_offset(const Files& files) {
    return (files.rsdp.size() + alignment - 1) / alignment * alignment;
}

/// Both files in one piece. The commands are our own (tables.cpp), so they name only these and fit.
class Memory {
  public:
    Memory(const Files& files, GuestAddress start) : start_(start), tables_(tables_offset(files)) {
        bytes_ = files.rsdp;
        bytes_.resize(tables_);
        bytes_.insert(bytes_.end(), files.tables.begin(), files.tables.end());
    }

    void execute(std::span<const std::byte> command) {
        const auto number = value_at<std::uint32_t>(command, 0);
        if (number == AddPointer::number) add_pointer(*value_at<AddPointer>(command, 0));
        if (number == AddChecksum::number) add_checksum(*value_at<AddChecksum>(command, 0));
    }
    std::vector<std::byte> take() { return std::move(bytes_); }

  private:
    std::size_t offset_of(std::string_view file) const { return file == Files::rsdp_name ? 0 : tables_; }

    void add_pointer(const AddPointer& command) {
        std::byte* const at = bytes_.data() + offset_of(command.file.view()) + command.offset;
        std::uint64_t value = 0;
        std::memcpy(&value, at, command.size);
        value += start_.value + offset_of(command.pointee.view());
        std::memcpy(at, &value, command.size);
    }
    void add_checksum(const AddChecksum& command) {
        const std::size_t file = offset_of(command.file.view());
        const auto sum = std::span(bytes_).subspan(file + command.start, command.length);
        const unsigned total = std::accumulate(sum.begin(), sum.end(), 0u, [](unsigned before, std::byte b) {
            return before + std::to_integer<unsigned>(b);
        });
        bytes_[file + command.offset] = static_cast<std::byte>(0x100 - total % 0x100);
    }

    GuestAddress start_;
    std::size_t tables_;
    std::vector<std::byte> bytes_;
};

}  // namespace

std::size_t placed_size(const Files& files) {
    return tables_offset(files) + files.tables.size();
}

std::vector<std::byte> place(const Files& files, GuestAddress start) {
    Memory memory(files, start);
    const std::span commands(files.loader);
    for (std::size_t at = 0; at + command_size <= commands.size(); at += command_size)
        memory.execute(commands.subspan(at, command_size));
    return memory.take();
}

}  // namespace exo::vmm::acpi
