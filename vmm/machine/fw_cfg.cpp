#include "vmm/machine/fw_cfg.h"

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstring>
#include <limits>
#include <utility>

#include "vmm/machine/io_value.h"

namespace exo::vmm {

namespace {

constexpr std::uint32_t feature_traditional = 1u << 0;
constexpr std::uint32_t feature_dma = 1u << 1;

constexpr std::uint32_t dma_error = 1u << 0;
constexpr std::uint32_t dma_read = 1u << 1;
constexpr std::uint32_t dma_skip = 1u << 2;
constexpr std::uint32_t dma_select = 1u << 3;
constexpr std::uint32_t dma_write = 1u << 4;
constexpr unsigned dma_selector_shift = 16;

constexpr std::uint64_t dma_signature = 0x5145'4d55'2043'4647;  // "QEMU CFG"
constexpr std::uint64_t dma_port_bytes = 8;

/// Big-endian in guest memory and in the directory, and back: the host is x86.
template <std::integral T>
constexpr T big_endian(T value) {
    static_assert(std::endian::native == std::endian::little);
    return std::byteswap(value);
}

struct DirectoryEntry {
    std::uint32_t size;
    std::uint16_t selector;
    std::uint16_t reserved;
    std::array<char, FwCfg::name_size> name;
};
static_assert(sizeof(DirectoryEntry) == 64);

template <typename T>
void append(std::vector<std::byte>& bytes, const T& value) {
    const auto view = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), view.begin(), view.end());
}

}  // namespace

struct FwCfg::DmaDescriptor {
    std::uint32_t control;
    std::uint32_t length;
    std::uint64_t address;
};

FwCfg::FwCfg(const GuestMemory& memory) : memory_(memory) {
    set_bytes(signature, {std::byte{'Q'}, std::byte{'E'}, std::byte{'M'}, std::byte{'U'}});
    set_u32(features, feature_traditional | feature_dma);
    rebuild_directory();
}

void FwCfg::set_bytes(std::uint16_t item, std::vector<std::byte> bytes) {
    Entry& entry = items_[item];
    entry.owned = std::move(bytes);
    entry.bytes = entry.owned;
}

void FwCfg::set_view(std::uint16_t item, std::span<const std::byte> bytes) {
    items_[item] = {{}, bytes};
}

void FwCfg::set_u16(std::uint16_t item, std::uint16_t value) {
    std::vector<std::byte> bytes;
    append(bytes, value);
    set_bytes(item, std::move(bytes));
}

void FwCfg::set_u32(std::uint16_t item, std::uint32_t value) {
    std::vector<std::byte> bytes;
    append(bytes, value);
    set_bytes(item, std::move(bytes));
}

void FwCfg::set_u64(std::uint16_t item, std::uint64_t value) {
    std::vector<std::byte> bytes;
    append(bytes, value);
    set_bytes(item, std::move(bytes));
}

Result<void> FwCfg::add_file(const std::string& name, std::vector<std::byte> bytes) {
    const auto selector = name_file(name, bytes.size());
    if (!selector) return std::unexpected(selector.error());
    set_bytes(*selector, std::move(bytes));
    return {};
}

Result<void> FwCfg::add_file_view(const std::string& name, std::span<const std::byte> bytes) {
    const auto selector = name_file(name, bytes.size());
    if (!selector) return std::unexpected(selector.error());
    set_view(*selector, bytes);
    return {};
}

Result<std::uint16_t> FwCfg::name_file(const std::string& name, std::size_t size) {
    const std::string what = "cannot hand the file " + name + " to the firmware";
    if (name.empty() || name.size() >= name_size) return fail(what, "its name must have 1 to 55 characters");
    if (size > std::numeric_limits<std::uint32_t>::max()) return fail(what, "it is 4 GiB or larger");
    if (files_.size() == max_files) return fail(what, "there are too many files");
    if (std::ranges::find(files_, name, &File::name) != files_.end())
        return fail(what, "there is one of that name already");

    const auto selector = static_cast<std::uint16_t>(first_file + files_.size());
    files_.push_back({name, static_cast<std::uint32_t>(size), selector});
    rebuild_directory();
    return selector;
}

void FwCfg::rebuild_directory() {
    std::vector<std::byte> bytes;
    append(bytes, big_endian(static_cast<std::uint32_t>(files_.size())));
    for (const File& file : files_) {
        DirectoryEntry entry{big_endian(file.size), big_endian(file.selector), 0, {}};
        std::ranges::copy(file.name, entry.name.begin());
        append(bytes, entry);
    }
    set_bytes(directory, std::move(bytes));
}

void FwCfg::set_kernel(std::span<const std::byte> image, const std::string& command_line) {
    // The whole image as "kernel", no "setup": the firmware joins the two anyway.
    set_u32(setup_size, 0);
    set_u32(kernel_size, static_cast<std::uint32_t>(image.size()));
    set_view(kernel_data, image);

    std::vector<std::byte> text(command_line.size() + 1);
    std::memcpy(text.data(), command_line.c_str(), text.size());
    set_u32(command_line_size, static_cast<std::uint32_t>(text.size()));
    set_bytes(command_line_data, std::move(text));
}

void FwCfg::set_initrd(std::span<const std::byte> image) {
    set_u32(initrd_size, static_cast<std::uint32_t>(image.size()));
    set_view(initrd_data, image);
}

void FwCfg::select(std::uint16_t item) {
    selected_ = item;
    offset_ = 0;
}

/// What is left of the selected item, at most `limit` bytes.
std::span<const std::byte> FwCfg::rest(std::uint64_t limit) const {
    const auto item = items_.find(selected_);
    if (item == items_.end() || offset_ >= item->second.bytes.size()) return {};
    const auto bytes = item->second.bytes.subspan(offset_);
    return bytes.first(std::min<std::uint64_t>(bytes.size(), limit));
}

std::byte FwCfg::next_byte() {
    const auto bytes = rest(1);
    if (bytes.empty()) return std::byte{0};
    ++offset_;
    return bytes.front();
}

void FwCfg::run_dma(GuestAddress address) {
    const std::lock_guard lock(mutex_);
    const auto given = memory_.read<DmaDescriptor>(address);
    if (!given) return;  // there is no memory to tell of the failure in

    Dma operation{};
    operation.descriptor = address.value;
    operation.control = big_endian(given->control);
    operation.length = big_endian(given->length);
    operation.address = big_endian(given->address);
    if (operation.control & dma_select)
        select(static_cast<std::uint16_t>(operation.control >> dma_selector_shift));
    operation.selector = selected_;
    operation.offset = offset_;
    operation.failed = !transfer(operation);

    memory_.write(address, big_endian(operation.failed ? dma_error : 0u));
    if (observer_) observer_(operation);
}

bool FwCfg::transfer(Dma& operation) {
    if (operation.control & dma_read) {
        if (!read_to_guest(operation)) return false;
    } else if (operation.control & dma_write) {
        return false;
    } else if (!(operation.control & dma_skip)) {
        return true;
    }
    offset_ += rest(operation.length).size();
    return true;
}

/// Past the end of the item the guest reads zeros.
bool FwCfg::read_to_guest(Dma& operation) {
    const auto destination = memory_.span_at({operation.address}, operation.length);
    if (!destination) return operation.length == 0;
    const auto source = rest(operation.length);
    std::ranges::copy(source, destination->begin());
    std::ranges::fill(destination->subspan(source.size()), std::byte{0});
    operation.data = *destination;
    return true;
}

void FwCfg::exchange_state(StateArchive& archive) {
    const std::lock_guard lock(mutex_);
    archive(selected_);
    archive(offset_);
    archive(dma_address_high_);
}

void FwCfg::Ports::read(std::uint64_t offset, std::span<std::byte> data) {
    put_ones(data);
    if (offset != 1 || data.size() != 1) return;
    const std::lock_guard lock(device_.mutex_);
    data.front() = device_.next_byte();
}

void FwCfg::Ports::write(std::uint64_t offset, std::span<const std::byte> data) {
    if (offset != 0 || data.size() != 2) return;
    const std::lock_guard lock(device_.mutex_);
    device_.select(static_cast<std::uint16_t>(value_of(data)));
}

void FwCfg::DmaPorts::read(std::uint64_t offset, std::span<std::byte> data) {
    put_ones(data);
    if (offset + data.size() <= dma_port_bytes) put_value(data, big_endian(dma_signature) >> (8 * offset));
}

void FwCfg::DmaPorts::write(std::uint64_t offset, std::span<const std::byte> data) {
    if (data.size() != 4) return;
    const std::uint32_t half = big_endian(static_cast<std::uint32_t>(value_of(data)));
    if (offset == 0) {
        const std::lock_guard lock(device_.mutex_);
        device_.dma_address_high_ = half;
    } else if (offset == 4) {
        std::uint64_t address = half;
        {
            const std::lock_guard lock(device_.mutex_);
            address |= std::uint64_t{std::exchange(device_.dma_address_high_, 0)} << 32;
        }
        device_.run_dma({address});
    }
}

}  // namespace exo::vmm
