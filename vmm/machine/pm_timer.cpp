#include "vmm/machine/pm_timer.h"

#include "vmm/machine/io_value.h"

namespace exo::vmm {

std::uint64_t PmTimer::ticks() const {
    constexpr std::uint64_t second = 1'000'000'000;
    const auto elapsed = static_cast<std::uint64_t>((clock_.now() - start_).count());
    return elapsed / second * frequency + elapsed % second * frequency / second;
}

void PmTimer::exchange_state(StateArchive& archive) {
    constexpr std::uint64_t a_century = 100ull * 366 * 24 * 3600 * 1'000'000'000;
    auto elapsed = static_cast<std::uint64_t>((clock_.now() - start_).count());
    archive(elapsed);
    if (elapsed > a_century) archive.refuse("it has run for centuries");
    if (archive.loading() && !archive.failed())
        start_ = clock_.now() - std::chrono::nanoseconds(static_cast<std::int64_t>(elapsed));
}

void PmTimer::read(std::uint64_t offset, std::span<std::byte> data) {
    put_value(data, (ticks() & mask) >> (8 * offset));
}

}  // namespace exo::vmm
