#include "vmm/devices/virtio_pci.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

namespace exo::vmm {
namespace {

using virtio::CommonConfig;

constexpr std::uint64_t page = 4096;

std::uint64_t value_of(std::span<const std::byte> data) {
    std::uint64_t value = 0;
    std::memcpy(&value, data.data(), std::min(data.size(), sizeof(value)));
    return value;
}

/// Replaces `data.size()` bytes of `value` from byte `at` on.
std::uint64_t with_bytes(std::uint64_t value, std::size_t at, std::span<const std::byte> data) {
    std::memcpy(reinterpret_cast<std::byte*>(&value) + at, data.data(), data.size());
    return value;
}

void copy_from(std::span<const std::byte> bytes, std::uint64_t offset, std::span<std::byte> data) {
    if (offset >= bytes.size()) return;
    const auto part = bytes.subspan(offset, std::min<std::uint64_t>(data.size(), bytes.size() - offset));
    std::ranges::copy(part, data.begin());
}

/// Capability types (4.1.4).
enum class Structure : std::uint8_t { common = 1, notify = 2, isr = 3, device = 4, window = 5 };

void put32(VirtioCapability& bytes, std::uint64_t value) {
    for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

VirtioCapability capability(Structure structure, std::uint64_t offset, std::uint64_t length,
                            std::size_t more = 0) {
    constexpr std::uint8_t header = 16;
    VirtioCapability bytes{static_cast<std::uint8_t>(header + more),
                           static_cast<std::uint8_t>(structure),
                           0,  // BAR
                           0,
                           0,
                           0};
    put32(bytes, offset);
    put32(bytes, length);
    bytes.resize(header - 2 + more);
    return bytes;
}

}  // namespace

std::vector<VirtioCapability> virtio_capabilities(const VirtioDevice& device) {
    auto notify = capability(Structure::notify, VirtioPci::notify_offset,
                             std::uint64_t{device.queue_count()} * VirtioPci::notify_multiplier);
    notify[0] += 4;
    put32(notify, VirtioPci::notify_multiplier);
    std::vector<VirtioCapability> all{
        capability(Structure::common, VirtioPci::common_offset, sizeof(CommonConfig)),
        std::move(notify),
        capability(Structure::isr, VirtioPci::isr_offset, 1),
    };
    if (const auto size = device.configuration().size(); size > 0)
        all.push_back(capability(Structure::device, VirtioPci::device_offset, size));
    all.push_back(capability(Structure::window, 0, 0, 4));
    return all;
}

Result<std::unique_ptr<VirtioPci>> VirtioPci::create(const GuestMemory& memory, VirtioDevice& device) {
    auto doorbells = Doorbells::create(device.queue_count());
    if (!doorbells) return std::unexpected(doorbells.error());
    return std::unique_ptr<VirtioPci>(new VirtioPci(memory, device, std::move(*doorbells)));
}

VirtioPci::VirtioPci(const GuestMemory& memory, VirtioDevice& device, Doorbells doorbells)
    : memory_(memory), device_(device), doorbells_(std::move(doorbells)), queues_(device.queue_count()) {
    begin_reset();
    counters_ = {};
}

void VirtioPci::connect_interrupt(std::uint32_t vector, InterruptLine& line) {
    if (lines_.size() <= vector) lines_.resize(vector + 1, nullptr);
    lines_[vector] = &line;
}

std::uint64_t VirtioPci::offered_features() const {
    return device_.features() | virtio::feature::version_1 | virtio::feature::indirect_descriptors |
           virtio::feature::event_index;
}

CommonConfig VirtioPci::common_config() const {
    const auto half = [](std::uint64_t features, std::uint32_t select) {
        return select < 2 ? static_cast<std::uint32_t>(features >> (32 * select)) : 0;
    };
    CommonConfig config{};
    config.device_feature_select = state_.device_feature_select;
    config.device_feature = half(offered_features(), state_.device_feature_select);
    config.driver_feature_select = state_.driver_feature_select;
    config.driver_feature = half(state_.driver_features, state_.driver_feature_select);
    config.config_vector = state_.config_vector;
    config.queue_count = static_cast<std::uint16_t>(queue_count());
    config.status = state_.status;
    config.queue_select = state_.queue_select;
    if (state_.queue_select >= state_.queues.size()) return config;
    const QueueState& queue = state_.queues[state_.queue_select];
    config.queue_size = queue.setup.size;
    config.queue_vector = queue.vector;
    config.queue_enable = queue.enabled ? 1 : 0;
    config.queue_notify_offset = state_.queue_select;
    config.queue_descriptors = queue.setup.descriptors.value;
    config.queue_driver = queue.setup.driver_area.value;
    config.queue_device = queue.setup.device_area.value;
    return config;
}

void VirtioPci::read(std::uint64_t offset, std::span<std::byte> data) {
    std::ranges::fill(data, std::byte{0xff});
    const std::lock_guard lock(mutex_);
    switch (offset / page * page) {
        case common_offset: {
            const CommonConfig config = common_config();
            return copy_from(std::as_bytes(std::span(&config, 1)), offset, data);
        }
        case isr_offset:
            if (offset == isr_offset) read_isr(data);
            return;
        case device_offset:
            return copy_from(device_.configuration(), offset - device_offset, data);
        default:
            return;
    }
}

void VirtioPci::read_isr(std::span<std::byte> data) {
    std::ranges::fill(data, std::byte{0});
    data.front() = static_cast<std::byte>(std::exchange(state_.isr, std::uint8_t{0}));
}

void VirtioPci::write(std::uint64_t offset, std::span<const std::byte> data) {
    if (offset / page * page == notify_offset) {
        // Any width will do: the address says which queue.
        const std::uint64_t queue = (offset - notify_offset) / notify_multiplier;
        if (offset % notify_multiplier == 0 && queue < queue_count())
            doorbells_.ring(static_cast<std::uint32_t>(queue));
        return;
    }
    if (offset >= common_offset + sizeof(CommonConfig)) return;
    const std::lock_guard lock(mutex_);
    write_common(offset, data);
}

/// Fields are written as wide as they are (4.1.3.1), addresses also by halves. Others are not the driver's.
void VirtioPci::write_common(std::uint64_t offset, std::span<const std::byte> data) {
    const std::uint64_t value = value_of(data);
    const auto is = [&](std::size_t field, std::size_t size) {
        return offset == field && data.size() == size;
    };
    if (is(offsetof(CommonConfig, device_feature_select), 4)) {
        state_.device_feature_select = static_cast<std::uint32_t>(value);
    } else if (is(offsetof(CommonConfig, driver_feature_select), 4)) {
        state_.driver_feature_select = static_cast<std::uint32_t>(value);
    } else if (is(offsetof(CommonConfig, driver_feature), 4)) {
        const bool settled = (state_.status & virtio::status::features_ok) != 0;
        if (!settled && state_.driver_feature_select < 2)
            state_.driver_features =
                with_bytes(state_.driver_features, std::size_t{4} * state_.driver_feature_select, data);
    } else if (is(offsetof(CommonConfig, config_vector), 2)) {
        state_.config_vector = checked_vector(value);
    } else if (is(offsetof(CommonConfig, status), 1)) {
        write_status(static_cast<std::uint8_t>(value));
    } else if (is(offsetof(CommonConfig, queue_select), 2)) {
        state_.queue_select = static_cast<std::uint16_t>(value);
    } else {
        write_queue(offset, data);
    }
}

void VirtioPci::write_queue(std::uint64_t offset, std::span<const std::byte> data) {
    if (state_.queue_select >= state_.queues.size()) return;
    QueueState& queue = state_.queues[state_.queue_select];
    const auto is = [&](std::size_t field) { return offset == field && data.size() == 2; };
    if (is(offsetof(CommonConfig, queue_vector))) queue.vector = checked_vector(value_of(data));
    if (queue.enabled) return;
    if (is(offsetof(CommonConfig, queue_size))) queue.setup.size = static_cast<std::uint16_t>(value_of(data));
    if (is(offsetof(CommonConfig, queue_enable)) && value_of(data) == 1) {
        queue.enabled = true;
        if ((state_.status & virtio::status::driver_ok) != 0) attach(state_.queue_select);
    }
    const auto address = [&](std::size_t field, GuestAddress& target) {
        const bool inside = offset >= field && offset + data.size() <= field + 8;
        if (inside && data.size() >= 4 && offset % data.size() == 0)
            target.value = with_bytes(target.value, offset - field, data);
    };
    address(offsetof(CommonConfig, queue_descriptors), queue.setup.descriptors);
    address(offsetof(CommonConfig, queue_driver), queue.setup.driver_area);
    address(offsetof(CommonConfig, queue_device), queue.setup.device_area);
}

std::uint16_t VirtioPci::checked_vector(std::uint64_t value) const {
    const bool there = value < lines_.size() && lines_[value] != nullptr;
    return there ? static_cast<std::uint16_t>(value) : virtio::no_vector;
}

void VirtioPci::write_status(std::uint8_t value) {
    using namespace virtio::status;
    if (value == 0) return begin_reset();
    if (state_.resetting) return;
    const std::uint8_t before = state_.status;
    const bool acceptable = (state_.driver_features & ~offered_features()) == 0 &&
                            (state_.driver_features & virtio::feature::version_1) != 0;
    if ((before & features_ok) == 0 && !acceptable) value &= static_cast<std::uint8_t>(~features_ok);
    if ((value & features_ok) == 0) value &= static_cast<std::uint8_t>(~driver_ok);
    state_.status = value | before;  // a driver takes back nothing but by a reset
    if ((state_.status & driver_ok) != 0 && (before & driver_ok) == 0) start();
}

void VirtioPci::start() {
    device_.start(state_.driver_features);
    for (std::size_t i = 0; i < queues_.size(); ++i)
        if (state_.queues[i].enabled) attach(i);
}

void VirtioPci::attach(std::size_t index) {
    if ((state_.status & virtio::status::needs_reset) != 0) return;
    const QueueState& set_up = state_.queues[index];
    auto queue = Virtqueue::attach(memory_, set_up.setup, state_.driver_features, set_up.position);
    // What lies there already, or what went wrong, is the I/O thread's to see.
    doorbells_.ring(static_cast<std::uint32_t>(index));
    if (!queue) return fail(index, queue.error());
    queues_[index].emplace(*queue);
}

void VirtioPci::fail(std::size_t queue, QueueFault fault) {
    ++counters_.faults;
    fault_ = fmt::format("queue {}: {}", queue, describe(fault));
    state_.status |= virtio::status::needs_reset;
    config_interrupt_ = true;
    for (auto& each : queues_) each.reset();
}

void VirtioPci::reset() {
    const std::lock_guard lock(mutex_);
    begin_reset();
}

/// Until no request touches guest memory any more, the status stays what it was: the driver waits for 0
/// (4.1.4.3.2).
void VirtioPci::begin_reset() {
    const std::uint8_t status = state_.status;
    state_ = {.status = status, .resetting = true, .queues = {}};
    state_.queues.assign(queues_.size(), {.setup = {.size = Virtqueue::max_size}});
    for (auto& queue : queues_) queue.reset();
    config_interrupt_ = false;
    ++counters_.resets;
    end_reset();
    if (state_.resetting) doorbells_.ring(0);
}

void VirtioPci::end_reset() {
    if (!state_.resetting || !device_.quiescent()) return;
    device_.stop();
    state_.resetting = false;
    state_.status = 0;
}

bool VirtioPci::quiescent() const {
    const std::lock_guard lock(mutex_);
    return device_.quiescent();
}

bool VirtioPci::service(Pass pass) {
    bool more = false;
    {
        const std::lock_guard lock(mutex_);
        more = work(pass);
    }
    // Outside the lock, which a vCPU may hold the MSI-X table's lock and wait for.
    for (const std::uint16_t vector : due_) lines_[vector]->raise();
    due_.clear();
    return more;
}

bool VirtioPci::work(Pass pass) {
    if (state_.resetting) device_.abandon();
    const bool more = device_.work(queues_, pass);
    end_reset();
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        if (!queues_[i] || queues_[i]->fault() == QueueFault::none) continue;
        fail(i, queues_[i]->fault());
        break;
    }
    announce();
    return more;
}

void VirtioPci::announce() {
    for (std::size_t i = 0; i < queues_.size(); ++i)
        if (queues_[i] && queues_[i]->interrupt_due())
            interrupt(state_.queues[i].vector, virtio::interrupt_status::queue);
    if (std::exchange(config_interrupt_, false))
        interrupt(state_.config_vector, virtio::interrupt_status::configuration);
}

/// Without a vector the driver can only look.
void VirtioPci::interrupt(std::uint16_t vector, std::uint8_t isr_bit) {
    state_.isr |= isr_bit;
    if (vector == virtio::no_vector) return;
    ++counters_.interrupts;
    due_.push_back(vector);
}

VirtioPci::Counters VirtioPci::counters() {
    const std::lock_guard lock(mutex_);
    Counters counters = counters_;
    counters.doorbells = doorbells_.rung();
    return counters;
}

std::string VirtioPci::fault() const {
    const std::lock_guard lock(mutex_);
    return fault_;
}

VirtioPci::State VirtioPci::state() const {
    const std::lock_guard lock(mutex_);
    State state = state_;
    for (std::size_t i = 0; i < queues_.size(); ++i)
        if (queues_[i]) state.queues[i].position = queues_[i]->position();
    return state;
}

void VirtioPci::exchange(StateArchive& archive, State& state) {
    archive(state.status);
    archive(state.isr);
    archive(state.device_feature_select);
    archive(state.driver_feature_select);
    archive(state.driver_features);
    archive(state.config_vector);
    archive(state.queue_select);
    const std::size_t queues = state.queues.size();
    archive.sequence(state.queues, queues, [&](QueueState& queue) {
        archive(queue.setup);
        archive(queue.position);
        archive(queue.vector);
        archive(queue.enabled);
    });
    if (state.queues.size() != queues) archive.refuse("it has another number of queues");
}

void VirtioPci::exchange_state(StateArchive& archive) {
    State given = state();
    exchange(archive, given);
    if (!archive.loading() || archive.failed()) return;
    const std::lock_guard lock(mutex_);
    given.config_vector = checked_vector(given.config_vector);
    for (QueueState& queue : given.queues) queue.vector = checked_vector(queue.vector);
    const bool running = (given.status & virtio::status::driver_ok) != 0;
    if (running && (given.driver_features & ~offered_features()) != 0)
        return archive.refuse("its driver uses features that this device does not have");
    state_ = std::move(given);
    if (running) start();
}

}  // namespace exo::vmm
