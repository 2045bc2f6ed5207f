#include "vmm/machine/rtc.h"

#include <algorithm>
#include <chrono>

namespace exo::vmm {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t data_port = 1;
constexpr std::uint8_t index_mask = 0x7f;  // bit 7 of the index port masks the NMI

enum Register : std::uint8_t {
    second = 0x00,
    minute = 0x02,
    hour = 0x04,
    weekday = 0x06,
    day = 0x07,
    month = 0x08,
    year = 0x09,
    control_a = 0x0a,
    control_b = 0x0b,
    control_c = 0x0c,
    control_d = 0x0d,
    equipment = 0x14,
    base_memory = 0x15,        // KiB below 1 MiB
    extended_memory = 0x17,    // KiB above 1 MiB
    extended_memory_2 = 0x30,  // the same again
    memory_above_16m = 0x34,   // 64 KiB units below 4 GiB
    memory_above_4g = 0x5b,    // 64 KiB units, three bytes
    further_cpus = 0x5f,
};

constexpr std::uint8_t divider_running = 0x26;
constexpr std::uint8_t updating = 0x80;      // A
constexpr std::uint8_t set_mode = 0x80;      // B
constexpr std::uint8_t binary_mode = 0x04;   // B
constexpr std::uint8_t mode_24h = 0x02;      // B
constexpr std::uint8_t update_ended = 0x10;  // C
constexpr std::uint8_t valid = 0x80;         // D
constexpr std::uint8_t afternoon = 0x80;     // hour, in 12-hour mode
constexpr std::uint8_t fpu_present = 0x02;

constexpr unsigned first_year = 1970;
constexpr unsigned last_year = 2199;

/// The chip tells of an update 244 us ahead and takes 1,984 us for it. Here the registers change at the end
/// of that time, so that a guest which saw no update in progress has 2 ms to read them all.
constexpr auto update_time = 2228us;

template <std::size_t Size>
void put(std::array<std::uint8_t, 128>& memory, std::uint8_t at, std::uint64_t value) {
    constexpr std::uint64_t limit = (std::uint64_t{1} << (8 * Size)) - 1;
    value = std::min(value, limit);
    for (std::size_t i = 0; i < Size; ++i) memory[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

}  // namespace

Rtc::Rtc(const Clock& clock, const layout::RamSplit& ram, unsigned cpus)
    : clock_(clock), told_(clock.wall()) {
    memory_[control_a] = divider_running;
    memory_[control_b] = mode_24h;
    memory_[control_d] = valid;
    memory_[equipment] = fpu_present;
    put<1>(memory_, further_cpus, cpus - 1);
    fill_memory_size(ram);
}

void Rtc::fill_memory_size(const layout::RamSplit& ram) {
    const auto above = [&](std::uint64_t start) { return ram.low > start ? ram.low - start : 0; };
    constexpr std::uint64_t unit = 64 * layout::kib;
    put<2>(memory_, base_memory, layout::legacy_hole.start / layout::kib);
    put<2>(memory_, extended_memory, above(layout::mib) / layout::kib);
    put<2>(memory_, extended_memory_2, above(layout::mib) / layout::kib);
    put<2>(memory_, memory_above_16m, above(16 * layout::mib) / unit);
    put<3>(memory_, memory_above_4g, ram.high / unit);
}

void Rtc::exchange_state(StateArchive& archive) {
    // Of all dates that a guest can set the clock to.
    constexpr std::chrono::system_clock::duration furthest =
        std::chrono::days(365 * (last_year - first_year + 1));
    const std::lock_guard lock(mutex_);
    archive(memory_);
    archive(index_);
    archive(offset_);
    bool frozen = frozen_.has_value();
    archive(frozen);
    if (archive.loading()) frozen_ = frozen ? std::optional(Fields{}) : std::nullopt;
    if (frozen_) archive(*frozen_);
    if (!archive.loading()) return;
    index_ &= index_mask;
    if (offset_ < -furthest || offset_ > furthest) archive.refuse("the guest's clock is centuries off");
    if (archive.failed()) offset_ = {};
    told_ = time();
}

std::uint8_t Rtc::read_byte(std::uint64_t offset) {
    if (offset != data_port) return 0xff;
    const std::lock_guard lock(mutex_);
    return read_register();
}

void Rtc::write_byte(std::uint64_t offset, std::uint8_t value) {
    const std::lock_guard lock(mutex_);
    if (offset == data_port)
        write_register(value);
    else
        index_ = value & index_mask;
}

unsigned* Rtc::time_field(Fields& fields) const {
    switch (index_) {
        case second:
            return &fields.second;
        case minute:
            return &fields.minute;
        case hour:
            return &fields.hour;
        case weekday:
            return &fields.weekday;
        case day:
            return &fields.day;
        case month:
            return &fields.month;
        case year:
            return &fields.year;
        case century_register:
            return &fields.century;
        default:
            return nullptr;
    }
}

std::uint8_t Rtc::read_register() {
    Fields now = fields();
    if (const unsigned* field = time_field(now)) return index_ == hour ? encode_hour(*field) : encode(*field);
    switch (index_) {
        case control_a:
            return static_cast<std::uint8_t>(memory_[control_a] | (update_in_progress() ? updating : 0));
        case control_c:
            return read_control_c();
        default:
            return memory_[index_];
    }
}

void Rtc::write_register(std::uint8_t value) {
    Fields changed = fields();
    if (unsigned* field = time_field(changed)) {
        *field = index_ == hour ? decode_hour(value) : decode(value);
        if (frozen_)
            frozen_ = changed;
        else
            set(changed);
        return;
    }
    switch (index_) {
        case control_a:
            memory_[control_a] = value & ~updating;
            break;
        case control_b:
            write_control_b(value);
            break;
        case control_c:
        case control_d:
            break;
        default:
            memory_[index_] = value;
            break;
    }
}

bool Rtc::update_in_progress() const {
    const auto left = std::chrono::ceil<std::chrono::seconds>(time()) - time();
    return !frozen_ && left > 0us && left <= update_time;
}

std::uint8_t Rtc::read_control_c() {
    const auto before = std::chrono::floor<std::chrono::seconds>(told_);
    told_ = time();
    return !frozen_ && std::chrono::floor<std::chrono::seconds>(told_) != before ? update_ended : 0;
}

void Rtc::write_control_b(std::uint8_t value) {
    const bool setting = value & set_mode;
    if (setting && !frozen_) {
        frozen_ = fields();
    } else if (!setting && frozen_) {
        set(*frozen_);
        frozen_.reset();
    }
    memory_[control_b] = value & (set_mode | binary_mode | mode_24h);
}

Rtc::Fields Rtc::fields() const {
    if (frozen_) return *frozen_;
    const auto now = std::chrono::floor<std::chrono::seconds>(time());
    const auto today = std::chrono::floor<std::chrono::days>(now);
    const std::chrono::year_month_day date(today);
    const std::chrono::hh_mm_ss clock(now - today);
    const auto full_year = static_cast<unsigned>(static_cast<int>(date.year()));
    return {.second = static_cast<unsigned>(clock.seconds().count()),
            .minute = static_cast<unsigned>(clock.minutes().count()),
            .hour = static_cast<unsigned>(clock.hours().count()),
            .weekday = std::chrono::weekday(today).c_encoding() + 1,
            .day = static_cast<unsigned>(date.day()),
            .month = static_cast<unsigned>(date.month()),
            .year = full_year % 100,
            .century = full_year / 100};
}

/// A date that is none, or that nanoseconds in 64 bits cannot tell, leaves the clock as it was.
void Rtc::set(const Fields& f) {
    const unsigned full_year = f.century * 100 + f.year;
    const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(full_year)),
                                           std::chrono::month(f.month), std::chrono::day(f.day));
    if (full_year < first_year || full_year > last_year || !date.ok()) return;
    if (f.hour > 23 || f.minute > 59 || f.second > 59) return;
    const auto time = std::chrono::sys_days(date) + std::chrono::hours(f.hour) +
                      std::chrono::minutes(f.minute) + std::chrono::seconds(f.second);
    offset_ = time - clock_.wall();
}

std::uint8_t Rtc::encode(unsigned value) const {
    if (memory_[control_b] & binary_mode) return static_cast<std::uint8_t>(value);
    return static_cast<std::uint8_t>(value / 10 % 10 << 4 | value % 10);
}

unsigned Rtc::decode(std::uint8_t value) const {
    return memory_[control_b] & binary_mode ? value : (value >> 4) * 10u + (value & 0xf);
}

std::uint8_t Rtc::encode_hour(unsigned hour) const {
    if (memory_[control_b] & mode_24h) return encode(hour);
    const unsigned shown = hour % 12 == 0 ? 12 : hour % 12;
    return static_cast<std::uint8_t>(encode(shown) | (hour >= 12 ? afternoon : 0));
}

unsigned Rtc::decode_hour(std::uint8_t value) const {
    if (memory_[control_b] & mode_24h) return decode(value);
    const unsigned shown = decode(value & ~afternoon);
    return shown % 12 + (value & afternoon ? 12 : 0);
}

}  // namespace exo::vmm
