#include "guest/apps/attack/attacker.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <iterator>
#include <optional>

#include "guest/kernel/command.h"
#include "guest/kernel/machine_control.h"
#include "guest/kernel/services.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

using attack::Attacker;

unsigned run(Arguments arguments, CommandConsole& console);

constexpr std::string_view details =
    "Attacks this project's VMM on each feature of its platform, in turn, while a second thread changes the\n"
    "rings that devices look at. The disks are lost to the guest afterwards. The same seed attacks alike.\n"
    "  --rounds N  attacks on each feature (100)\n"
    "  --seed N    of the random numbers (1)\n"
    "  --wild      attacks that may end the guest too: devices write to all of its RAM, any port, any\n"
    "              interrupt\n"
    "  FEATURE     only these: ports serial pci bars msix fw_cfg flash memory virtio fusion processor\n";
constexpr Command command{"attack", "[--rounds N] [--seed N] [--wild] [FEATURE [FEATURE]]",
                          "attack the VMM from inside", run, details};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

constexpr std::uint32_t all_ports = 0xffff;

struct Plan {
    std::uint64_t rounds = 100;
    std::uint64_t seed = 1;
    bool wild = false;
    std::array<std::string_view, 2> only = {};

    bool has(std::string_view feature) const {
        return only[0].empty() || std::ranges::find(only, feature) != only.end();
    }
};

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    return parsed.ec == std::errc() && parsed.ptr == end ? std::optional(value) : std::nullopt;
}

bool known(std::string_view feature) {
    return feature.empty() ||
           std::ranges::find(attack::features, feature, &attack::Feature::name) != std::end(attack::features);
}

/// Changes the rings until it goes.
class Racer {
  public:
    Racer(Scheduler& scheduler, Attacker& attacker) : attacker_(attacker) {
        if (auto thread = scheduler.spawn({.name = "racer"}, [this] { race(); }))
            thread_ = std::move(*thread);
    }
    ~Racer() { stop_.store(true, std::memory_order_relaxed); }
    Racer(const Racer&) = delete;
    Racer& operator=(const Racer&) = delete;

  private:
    void race() {
        while (!stop_.load(std::memory_order_relaxed)) attack::change_rings(attacker_);
    }

    Attacker& attacker_;
    std::atomic<bool> stop_ = false;
    ThreadHandle thread_;  // the last: it is joined before what it uses goes
};

unsigned report(const Attacker& attacker, std::uint64_t attacks, const Plan& plan, CommandConsole& console) {
    format(console, "attack: {} attacks of seed {}, {} objections\n", attacks, plan.seed,
           attacker.objections());
    if (attacker.objections() == 0) return status::ok;
    format(console, "attack: {}\n", attacker.last_objection());
    return status::failure;
}

unsigned fight(Attacker& attacker, Attacker& racer, const Plan& plan, CommandConsole& console) {
    Scheduler& scheduler = Thread::current()->scheduler();
    std::uint64_t attacks = 0;
    {
        const Racer race(scheduler, racer);
        for (std::uint64_t round = 0; round < plan.rounds && !console.interrupted(); ++round) {
            for (const attack::Feature& feature : attack::features) {
                if (!plan.has(feature.name)) continue;
                feature.attack(attacker);
                ++attacks;
            }
        }
    }
    return report(attacker, attacks, plan, console);
}

unsigned failed(CommandConsole& console, const Error& error) {
    format(console, "attack: {}: {}\n", error.what, error.why);
    return status::failure;
}

unsigned fight(const Plan& plan, CommandConsole& console) {
    DriverServices& machine = services();
    const auto ports = machine.registers.map_ports(0, all_ports);
    if (!ports) return failed(console, ports.error());
    // What a device was told to write to is given to nobody else, even afterwards.
    const auto memory = machine.dma.allocate(Attacker::memory_size);
    if (!memory) return failed(console, memory.error());
    const auto harmless = machine.interrupts.allocate_msi(0);
    if (!harmless) return failed(console, harmless.error());
    const attack::Surface surface{**ports, machine.registers, *memory, harmless->message, plan.wild};
    auto attacker = Attacker::create(surface, plan.seed);
    if (!attacker) return failed(console, attacker.error());
    auto racer = Attacker::create(surface, ~plan.seed);
    if (!racer) return failed(console, racer.error());
    return fight(*attacker, *racer, plan, console);
}

unsigned run(Arguments arguments, CommandConsole& console) {
    Plan plan;
    std::string_view rounds = "100";
    std::string_view seed = "1";
    const CommandOption options[] = {
        {"--rounds", nullptr, &rounds}, {"--seed", nullptr, &seed}, {"--wild", &plan.wild}};
    std::string_view* const rest[] = {&plan.only[0], &plan.only[1]};
    if (!parse_arguments(arguments, options, rest, command, console)) return status::bad_usage;
    const auto parsed_rounds = number(rounds);
    const auto parsed_seed = number(seed);
    if (!parsed_rounds || !parsed_seed)
        return bad_usage(console, command, "rounds and seed are whole numbers");
    for (const std::string_view feature : plan.only)
        if (!known(feature))
            return bad_usage(console, command, "\"{}\" is no feature; `help attack` lists them", feature);
    if (!machine_control().has_exit_port() || Thread::current() == nullptr) {
        console.write("attack: only this project's VMM is attacked, and this machine is another\n");
        return status::failure;
    }
    plan.rounds = *parsed_rounds;
    plan.seed = *parsed_seed;
    return fight(plan, console);
}

}  // namespace
}  // namespace exo::guest
