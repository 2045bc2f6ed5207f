#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "vmm/base/byte_view.h"
#include "vmm/base/error.h"

namespace exo::vmm {

/// The state of a machine on its way into bytes or out of them. A device says once what its state is, by
/// passing each member, and that both saves and loads it:
///
///     void exchange_state(StateArchive& archive) { archive(index_); archive.sequence(input_, input_limit); }
///
/// Bytes that are loaded are not trusted: what does not lie in them reads as zero, and failed() tells the
/// first thing that was wrong. The values themselves are for the device to check.
class StateArchive {
  public:
    /// Saves.
    StateArchive() : loading_(false) {}
    /// Loads from `bytes`, which outlive the archive.
    explicit StateArchive(std::span<const std::byte> bytes) : loading_(true), rest_(bytes) {}

    bool loading() const { return loading_; }
    bool failed() const { return error_.has_value(); }
    /// What was saved.
    const std::vector<std::byte>& saved() const { return saved_; }
    /// Whether all of it went well, and, when loading, nothing was left over.
    Result<void> finish() {
        if (!rest_.empty()) refuse("something follows after its end");
        if (error_) return std::unexpected(*error_);
        return {};
    }

    template <typename T>
        requires(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
                 (!std::is_enum_v<T> || std::is_same_v<T, std::byte>))
    void operator()(T& value) {
        raw(std::as_writable_bytes(std::span(&value, 1)));
    }
    void operator()(bool& value) {
        std::uint8_t byte = value ? 1 : 0;
        (*this)(byte);
        value = byte != 0;
    }
    /// `last` is the enumerator with the largest value; the first has 0.
    template <typename T>
        requires std::is_enum_v<T>
    void operator()(T& value, T last) {
        auto number = static_cast<std::uint32_t>(value);
        (*this)(number);
        if (number > static_cast<std::uint32_t>(last)) {
            refuse("a value is none of those that there are");
            number = 0;
        }
        value = static_cast<T>(number);
    }
    /// As many bytes as `bytes` has.
    void raw(std::span<std::byte> bytes) {
        if (!loading_) {
            saved_.insert(saved_.end(), bytes.begin(), bytes.end());
            return;
        }
        const auto source = take(bytes.size());
        if (source.size() == bytes.size())
            std::memcpy(bytes.data(), source.data(), bytes.size());
        else
            std::memset(bytes.data(), 0, bytes.size());
    }
    /// A container of plain values, at most `limit` of them.
    template <typename Container>
    void sequence(Container& container, std::size_t limit) {
        if (!count(container, limit)) return;
        for (auto& element : container) (*this)(element);
    }
    /// Likewise, where the elements have a state of their own: `each` exchanges one.
    template <typename Container, typename Each>
    void sequence(Container& container, std::size_t limit, Each each) {
        if (!count(container, limit)) return;
        for (auto& element : container) each(element);
    }

    /// What `exchange` passes, under a name that has to be the same when it is loaded.
    template <typename Exchange>
    void section(std::string_view name, Exchange exchange) {
        if (failed()) return;
        const std::string outer = std::exchange(section_, std::string(name));
        loading_ ? load_section(exchange) : save_section(exchange);
        section_ = outer;
    }

    /// The state does not fit. The first reason counts.
    void refuse(std::string why) {
        refuse(Error{section_.empty() ? "cannot restore the machine"
                                      : fmt::format("cannot restore the state of {}", section_),
                     std::move(why), ""});
    }
    void refuse(Error error) {
        if (!error_) error_ = std::move(error);
        rest_ = {};
    }
    void check(Result<void> done) {
        if (!done) refuse(std::move(done.error()));
    }

  private:
    std::span<const std::byte> take(std::size_t size) {
        const auto bytes = bytes_at(rest_, 0, size);
        if (!bytes) {
            refuse("it ends too early");
            return {};
        }
        rest_ = rest_.subspan(size);
        return *bytes;
    }

    template <typename Container>
    bool count(Container& container, std::size_t limit) {
        auto number = static_cast<std::uint32_t>(container.size());
        (*this)(number);
        if (number > limit) {
            refuse("it has more entries than there can be");
            number = 0;
        }
        if (loading_) {
            container.clear();
            container.resize(number);
        }
        return !failed();
    }

    template <typename Exchange>
    void save_section(Exchange& exchange) {
        put_bytes(std::as_bytes(std::span(section_)));
        std::vector<std::byte> outer = std::exchange(saved_, {});
        exchange();
        const std::vector<std::byte> inner = std::exchange(saved_, std::move(outer));
        put_bytes(inner);
    }
    template <typename Exchange>
    void load_section(Exchange& exchange) {
        const auto name = get_bytes();
        if (failed()) return;
        if (!std::ranges::equal(name, std::as_bytes(std::span(section_))))
            return refuse("something else stands in its place");
        const auto inner = get_bytes();
        const auto outer = std::exchange(rest_, inner);
        exchange();
        if (!failed() && !rest_.empty()) refuse("it is longer than it should be");
        rest_ = failed() ? rest_ : outer;
    }
    void put_bytes(std::span<const std::byte> bytes) {
        auto size = static_cast<std::uint32_t>(bytes.size());
        (*this)(size);
        saved_.insert(saved_.end(), bytes.begin(), bytes.end());
    }
    std::span<const std::byte> get_bytes() {
        std::uint32_t size = 0;
        (*this)(size);
        return take(size);
    }

    const bool loading_;
    std::vector<std::byte> saved_;
    std::span<const std::byte> rest_;
    std::string section_;
    std::optional<Error> error_;
};

}  // namespace exo::vmm
