#include "tests/sim/block/moderation.h"

#include <algorithm>
#include <array>

namespace exo::sim {
namespace {

constexpr std::uint64_t events_a_measurement = 64;

/// The longest delay and the most completions that an interrupt may wait for.
constexpr std::array<Moderation::Profile, 9> ladder = {{{1'000, 1},
                                                        {1'000, 4},
                                                        {2'000, 4},
                                                        {2'000, 8},
                                                        {4'000, 8},
                                                        {16'000, 8},
                                                        {16'000, 16},
                                                        {32'000, 16},
                                                        {32'000, 32}}};

/// By more than a tenth.
bool differ(std::uint64_t now, std::uint64_t before) {
    if (before == 0) return false;
    return 100 * (std::max(now, before) - std::min(now, before)) / before > 10;
}

}  // namespace

const Moderation::Profile& Moderation::profile() const {
    return ladder[place_];
}

void Moderation::interrupted(std::uint64_t now_ns, std::uint64_t completions) {
    if (!measuring_) {
        measuring_ = true;
        start_ns_ = now_ns;
        events_ = completions_ = 0;
        return;
    }
    ++events_;
    completions_ += completions;
    if (events_ < events_a_measurement || now_ns == start_ns_) return;
    const std::uint64_t us = std::max<std::uint64_t>((now_ns - start_ns_) / 1'000, 1);
    decide({.completions_per_ms = (completions_ * 1'000 + us - 1) / us,
            .per_hundred_events = completions_ * 100 / events_});
    start_ns_ = now_ns;
    events_ = completions_ = 0;
}

Moderation::Verdict Moderation::compare(const Rates& now) const {
    const auto verdict = [](std::uint64_t here, std::uint64_t there) {
        return here > there ? Verdict::better : Verdict::worse;
    };
    if (before_.completions_per_ms == 0) return Verdict::same;
    if (differ(now.completions_per_ms, before_.completions_per_ms))
        return verdict(now.completions_per_ms, before_.completions_per_ms);
    if (differ(now.per_hundred_events, before_.per_hundred_events))
        return verdict(now.per_hundred_events, before_.per_hundred_events);
    return Verdict::same;
}

void Moderation::decide(const Rates& now) {
    const std::size_t place = place_;
    const Verdict verdict = compare(now);
    if (verdict == Verdict::same) {
        if (now.per_hundred_events <= 50 * place_) place_ = 0;
    } else {
        if (verdict == Verdict::worse) going_up_ = !going_up_;
        if (!step()) going_up_ = !going_up_;
    }
    before_ = now;
    changes_ += place_ != place ? 1 : 0;
}

bool Moderation::step() {
    if (going_up_ ? place_ + 1 == ladder.size() : place_ == 0) return false;
    place_ = going_up_ ? place_ + 1 : place_ - 1;
    return true;
}

}  // namespace exo::sim
