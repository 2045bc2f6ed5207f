// The guest's attacks on the machine's models in this process: vCPU, device thread and a second vCPU that
// changes the rings, each a thread. What the models must never do ends the test (whole_machine.h), and so do
// the sanitizers of the presets that have them.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "guest/apps/attack/attacker.h"
#include "tests/fuzz/whole_machine.h"

namespace exo {
namespace {

using guest::attack::Attacker;
using guest::attack::Feature;
using guest::attack::Surface;
using vmm::IoBus;
using vmm::whole::Machine;

constexpr std::size_t low_ram = 64 * 1024;

/// A range of one of the machine's buses, as a vCPU reaches it.
class BusRegisters final : public guest::RegistersOfAnyWidth<BusRegisters> {
  public:
    BusRegisters(IoBus& bus, std::uint64_t start, std::uint64_t size)
        : bus_(bus), start_(start), size_(size) {}

    std::uint64_t size() const override { return size_; }

  private:
    friend RegistersOfAnyWidth;

    bool inside(std::uint64_t offset, std::size_t size) const {
        return offset < size_ && size <= size_ - offset;
    }
    template <typename T>
    T read(std::uint64_t offset) {
        if (!inside(offset, sizeof(T))) return static_cast<T>(~0ull);
        return static_cast<T>(vmm::test::read_value(bus_, start_ + offset, sizeof(T)));
    }
    template <typename T>
    void write(std::uint64_t offset, T value) {
        if (inside(offset, sizeof(T))) vmm::test::write_value(bus_, start_ + offset, sizeof(T), value);
    }

    IoBus& bus_;
    std::uint64_t start_;
    std::uint64_t size_;
};

class BusSpace final : public guest::RegisterSpace {
  public:
    explicit BusSpace(Machine& machine) : machine_(machine) {}
    guest::Result<std::unique_ptr<guest::Registers>> map_memory(std::uint64_t start,
                                                                std::uint64_t size) override {
        return std::make_unique<BusRegisters>(machine_.memory(), start, size);
    }
    guest::Result<std::unique_ptr<guest::Registers>> map_ports(std::uint16_t first,
                                                               std::uint16_t count) override {
        return std::make_unique<BusRegisters>(machine_.ports(), first, count);
    }

  private:
    Machine& machine_;
};

/// A machine under attack, with its device thread.
class Battle {
  public:
    explicit Battle(bool wild) : wild_(wild) {}
    ~Battle() { end(); }

    /// Attacks of one feature, or of all; with `racing`, while another vCPU changes the rings.
    unsigned attack(const Feature* only, std::uint64_t seed, unsigned rounds, bool racing) {
        auto attacker = Attacker::create(surface(), seed);
        auto racer = Attacker::create(surface(), ~seed);
        if (!attacker || !racer) return ~0u;
        std::atomic<bool> over = false;
        std::thread race([&] {
            for (; racing && !over; std::this_thread::sleep_for(std::chrono::microseconds(2)))
                guest::attack::change_rings(*racer);
        });
        for (unsigned round = 0; round < rounds; ++round)
            for (const Feature& feature : guest::attack::features)
                if (only == nullptr || only == &feature) feature.attack(*attacker);
        over = true;
        race.join();
        return attacker->objections();
    }

    /// Stops the device thread; devices then come to rest, and the machine's state is one that can be kept.
    void end() {
        over_ = true;
        if (device_thread_.joinable()) device_thread_.join();
    }
    Machine& machine() { return machine_; }

  private:
    Surface surface() {
        const std::span<std::byte> memory = machine_.ram(1);
        return {all_ports_,
                space_,
                {memory.data(), vmm::whole::high_start, memory.size()},
                {0xfee0'0000, 0x40},
                wild_};
    }

    bool wild_;
    Machine machine_{low_ram, Attacker::memory_size};
    BusSpace space_{machine_};
    BusRegisters all_ports_{machine_.ports(), 0, 0x1'0000};
    std::atomic<bool> over_ = false;
    std::thread device_thread_{[this] {
        // It sleeps, as one that waits for doorbells does: else it would hold the devices' locks all the
        // time.
        for (; !over_; std::this_thread::sleep_for(std::chrono::microseconds(50))) machine_.serve();
    }};
};

std::string name_of(const testing::TestParamInfo<Feature>& info) {
    return std::string(info.param.name);
}

class EachFeature : public testing::TestWithParam<Feature> {};
INSTANTIATE_TEST_SUITE_P(Attack, EachFeature, testing::ValuesIn(guest::attack::features), name_of);

const Feature& registered(const Feature& feature) {
    return *std::ranges::find(guest::attack::features, feature.name, &Feature::name);
}

TEST_P(EachFeature, LeavesTheMachineInAStateThatCanBeKept) {
    Battle battle(true);
    EXPECT_EQ(battle.attack(&registered(GetParam()), 7, 50, true), 0u);
    battle.end();
    battle.machine().settle();
    const auto state = battle.machine().save();
    Machine restored(low_ram, Attacker::memory_size);
    restored.load(battle.machine(), state);
    EXPECT_EQ(restored.save(), state);
}

TEST(Attack, OnAllFeaturesAtOnce) {
    for (const bool wild : {false, true}) {
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            SCOPED_TRACE(seed);
            Battle battle(wild);
            EXPECT_EQ(battle.attack(nullptr, seed, 30, true), 0u);
            battle.end();
            battle.machine().settle();
        }
    }
}

std::uint64_t carried_out(const vmm::DiskCounters& counters) {
    return counters.reads + counters.writes;
}

TEST(Attack, ReachesTheDisksBehindTheDevices) {
    Battle battle(false);
    EXPECT_EQ(battle.attack(nullptr, 1, 100, false), 0u);
    battle.end();
    EXPECT_GT(carried_out(battle.machine().fusion_counters()), 20u);
    EXPECT_GT(carried_out(battle.machine().virtio_counters()), 20u);
}

}  // namespace
}  // namespace exo
