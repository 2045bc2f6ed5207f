#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "guest/drivers/time_source.h"
#include "guest/ipc/channel.h"
#include "tests/unit/sched/run_threads.h"

namespace exo::guest::test {

/// Long after anything that works.
inline constexpr std::uint64_t patience_ms = 60'000;

inline std::uint64_t in_ms(std::uint64_t ms) {
    return arch::now_ns() + ms * ns_per_ms;
}
inline std::uint64_t patience() {
    return in_ms(patience_ms);
}

/// A full slot whose every word tells its number, so that torn or stale copies show.
struct Full {
    std::array<std::uint64_t, 7> words;

    static Full of(std::uint64_t number) {
        Full full;
        for (std::uint64_t i = 0; i < 7; ++i) full.words[i] = number * 0x9e37'79b9'7f4a'7c15 + i;
        return full;
    }
    bool operator==(const Full&) const = default;
};

struct FusionKind {
    template <class Message, class Policy>
    using Core = FusionCore<Message, Policy>;
};
struct ClassicKind {
    template <class Message, class Policy>
    using Core = ClassicCore<Message, Policy>;
};

/// Every test runs on both kinds of channel, on one and several CPUs.
template <class Kind>
class ChannelTest : public testing::Test {
  protected:
    template <class Message, class Policy = OneToOne>
    using Channel = BasicChannel<typename Kind::template Core<Message, Policy>>;
    template <class Message, class Policy = OneToOne>
    using Sender = BasicSender<typename Kind::template Core<Message, Policy>>;
    template <class Message, class Policy = OneToOne>
    using Receiver = BasicReceiver<typename Kind::template Core<Message, Policy>>;

    template <class Message, class Policy = OneToOne, class... Arguments>
    static Channel<Message, Policy> make(std::uint32_t capacity, Arguments&... arguments) {
        auto channel = Channel<Message, Policy>::create(capacity, arguments...);
        if (!channel) std::abort();
        return std::move(*channel);
    }

    static void on_cpus(std::initializer_list<unsigned> counts, const std::function<void(Scheduler&)>& body) {
        for (const unsigned cpus : counts) {
            SCOPED_TRACE(testing::Message() << cpus << " CPUs");
            run_threads(cpus, body);
            if (testing::Test::HasFailure()) return;
        }
    }
};
using Kinds = testing::Types<FusionKind, ClassicKind>;
struct KindNames {
    template <class Kind>
    static std::string GetName(int) {
        return std::is_same_v<Kind, FusionKind> ? "Fusion" : "Classic";
    }
};

/// For a small random number now and then.
class Random {
  public:
    explicit Random(std::uint32_t seed) : state_(seed * 2'654'435'761U + 1) {}
    std::uint32_t next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return state_;
    }

  private:
    std::uint32_t state_;
};

}  // namespace exo::guest::test
