// The hand-shakes of channels under all interleavings: the very FusionChannel of the kernel, on the
// explorer's atomics. A wake-up that is lost leaves somebody asleep for ever, which the explorer reports.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <new>

#include "guest/ipc/fusion_channel.h"
#include "guest/ipc/select.h"
#include "ring_scenarios.h"

namespace exo::guest {
namespace {

using model::check;
using model::expect_correct;
using model::expect_found;
using model::ModelAtomics;
using model::Scenario;
using model::World;

constexpr std::uint64_t forever = ~std::uint64_t{0};
/// A deadline that has passed by the time that the thread looks at the clock.
constexpr std::uint64_t soon = 1;

template <class AtomicsType>
struct ModelSleep {
    using Atomics = AtomicsType;
    using ThreadReference = int;

    class EXO_THREAD_SAFETY(capability("model lock")) Lock {
      public:
        void lock() EXO_THREAD_SAFETY(acquire_capability()) {
            model::retry([&] {
                std::uint32_t expected = 0;
                return ModelAtomics::compare_exchange(taken_, expected, 1U);
            });
        }
        void unlock() EXO_THREAD_SAFETY(release_capability()) { ModelAtomics::store_release(taken_, 0U); }

      private:
        std::uint32_t taken_ = 0;
    };

    static int running() { return 0; }
    template <class Woken>
    static void sleep(std::uint64_t deadline, Woken woken) {
        if (deadline == forever) model::retry(woken);
    }
    static void wake(int) {}
    static void after_wake() {}
    static bool may_poll() { return false; }
    static void relax() {}
};

template <class Policy, class Atomics>
using ModelChannel = FusionChannel<std::uint64_t, Policy, ModelSleep<Atomics>>;

template <class Core>
Core* make_channel(World& world, std::uint32_t capacity = 2) {
    const auto ring = model::make_ring<typename Core::Ring>(world, capacity);
    return new (world.memory(sizeof(Core)).data()) Core(ring, Payload<std::uint64_t>());
}

/// Ends live as long as the threads' bodies do.
template <class Core>
auto sender_of(Core* core) {
    return std::make_shared<typename Core::SendEnd>(core->make_sender());
}
template <class Core>
auto receiver_of(Core* core) {
    return std::make_shared<typename Core::ReceiveEnd>(core->make_receiver());
}

/// One sender that leaves in the end; one receiver that takes all and sees the end.
template <class Atomics>
Scenario stream_until_closed(std::uint64_t count) {
    return [=](World& world) {
        auto* const channel = make_channel<ModelChannel<OneToOne, Atomics>>(world);
        world.thread("sender", [=, end = sender_of(channel)] {
            for (std::uint64_t i = 0; i < count; ++i)
                check(channel->send(*end, i, forever).has_value(), "a message was refused");
            channel->sender_left(*end);
        });
        world.thread("receiver", [=, end = receiver_of(channel)] {
            for (std::uint64_t i = 0; i < count; ++i)
                check(channel->receive(*end, forever) == i, "not the next message");
            const auto after = channel->receive(*end, forever);
            check(!after && after.error() == ChannelError::closed, "the end was not seen");
        });
    };
}

/// A sender goes on until nobody receives any more.
template <class Atomics>
Scenario receiver_leaves() {
    return [](World& world) {
        auto* const channel = make_channel<ModelChannel<OneToOne, Atomics>>(world);
        world.thread("sender", [=, end = sender_of(channel)] {
            std::uint64_t sent = 0;
            while (channel->send(*end, sent, forever)) ++sent;
            check(sent <= 4, "more was sent than there was room for");
        });
        world.thread("receiver", [=, end = receiver_of(channel)] {
            check(channel->receive(*end, forever) == 0U, "not the first message");
            channel->receiver_left(*end);
        });
    };
}

/// So many senders of one message each, and receivers that take `each` of them.
template <class Atomics, class Policy = ManyToMany>
Scenario many(int senders, int receivers, int each, std::uint64_t sends = 1) {
    return [=](World& world) {
        auto* const channel = make_channel<ModelChannel<Policy, Atomics>>(world);
        const auto received = std::make_shared<std::array<int, 4>>();
        for (int i = 0; i < senders; ++i)
            world.thread(i == 0 ? "sender 1" : "sender 2", [=, end = sender_of(channel)] {
                for (std::uint64_t k = 0; k < sends; ++k)
                    check(channel->send(*end, static_cast<std::uint64_t>(i) * sends + k, forever).has_value(),
                          "a message was refused");
            });
        for (int i = 0; i < receivers; ++i)
            world.thread(i == 0 ? "receiver 1" : "receiver 2", [=, end = receiver_of(channel)] {
                for (int k = 0; k < each; ++k) {
                    const auto value = channel->receive(*end, forever);
                    check(value.has_value() && *value < 4, "no message");
                    ++(*received)[*value];
                }
            });
        world.finally([=] {
            for (const int times : *received) check(times <= 1, "a message came twice");
        });
    };
}

/// Two messages at once, of which the sender tells once, for two receivers.
template <class Atomics, class Policy = OneToMany>
Scenario batch_for_two() {
    return [](World& world) {
        auto* const channel = make_channel<ModelChannel<Policy, Atomics>>(world);
        world.thread("sender", [=, end = sender_of(channel)] {
            const std::array<std::uint64_t, 2> messages = {0, 1};
            check(channel->send_batch(*end, messages, forever) == 2U, "the batch was cut");
        });
        for (const char* name : {"receiver 1", "receiver 2"})
            world.thread(name, [=, end = receiver_of(channel)] {
                check(channel->receive(*end, forever).has_value(), "no message");
            });
    };
}

/// Of two receivers one gives up. There are two messages, so the other one gets one.
template <class Atomics>
Scenario one_gives_up() {
    return [](World& world) {
        auto* const channel = make_channel<ModelChannel<OneToMany, Atomics>>(world);
        world.thread("sender", [=, end = sender_of(channel)] {
            const std::array<std::uint64_t, 2> messages = {0, 1};
            check(channel->send_batch(*end, messages, forever) == 2U, "the batch was cut");
        });
        world.thread("impatient", [=, end = receiver_of(channel)] {
            const auto value = channel->receive(*end, soon);
            check(value || value.error() == ChannelError::empty, "an error that cannot be");
        });
        world.thread("patient", [=, end = receiver_of(channel)] {
            check(channel->receive(*end, forever).has_value(), "no message");
        });
    };
}

template <class Core>
class ReceiveCase final : public Selectable<ModelSleep<typename Core::Atomics>> {
    using Entry = typename Core::Entry;

  public:
    explicit ReceiveCase(Core* core) : core_(core), end_(core->make_receiver()) {}
    bool is_ready() override { return core_->can_receive(end_); }
    bool enlist(Entry& entry) override { return core_->enlist(end_, entry); }
    void delist(Entry& entry) override { core_->delist(end_, entry); }
    auto try_receive() { return core_->receive(end_, no_wait); }

  private:
    Core* core_;
    typename Core::ReceiveEnd end_;
};

/// A thread selects of two channels, the last of which gets a message.
template <class Atomics>
Scenario select_of_two() {
    return [](World& world) {
        using Core = ModelChannel<OneToOne, Atomics>;
        auto* const x = make_channel<Core>(world);
        auto* const y = make_channel<Core>(world);
        world.thread("sender", [=, end = sender_of(y)] {
            check(y->send(*end, 1, forever).has_value(), "a message was refused");
        });
        world.thread("leaving", [=, end = sender_of(x)] { x->sender_left(*end); });
        world.thread("select", [from_x = std::make_shared<ReceiveCase<Core>>(x),
                                from_y = std::make_shared<ReceiveCase<Core>>(y)] {
            BasicSelect<ModelSleep<Atomics>, 2> select(*from_x, *from_y);
            for (bool taken = false; !taken;) {
                const auto which = select.wait(forever);
                check(which.has_value(), "select failed");
                taken = (*which == 0 ? *from_x : *from_y).try_receive().has_value();
                if (*which == 0) select.disable(0);
            }
        });
    };
}

/// A thread that selects, beside one that waits for one of its channels only: each gets a message.
template <class Atomics>
Scenario select_beside_a_receiver() {
    return [](World& world) {
        using Core = ModelChannel<OneToMany, Atomics>;
        auto* const x = make_channel<Core>(world);
        world.thread("sender", [=, end = sender_of(x)] {
            const std::array<std::uint64_t, 2> messages = {0, 1};
            check(x->send_batch(*end, messages, forever) == 2U, "the batch was cut");
        });
        world.thread("select", [from_x = std::make_shared<ReceiveCase<Core>>(x)] {
            BasicSelect<ModelSleep<Atomics>, 1> select(*from_x);
            for (bool taken = false; !taken;) {
                check(select.wait(forever).has_value(), "select failed");
                taken = from_x->try_receive().has_value();
            }
        });
        world.thread("receiver", [=, end = receiver_of(x)] {
            check(x->receive(*end, forever).has_value(), "no message");
        });
    };
}

TEST(ChannelModel, AStreamUntilItIsClosed) {
    expect_correct(stream_until_closed<ModelAtomics>(2));
}
TEST(ChannelModel, ASenderThatWaitsForRoom) {
    expect_correct(many<ModelAtomics, OneToOne>(1, 1, 3, 3));
}
TEST(ChannelModel, AReceiverLeavesASenderThatWaits) {
    expect_correct(receiver_leaves<ModelAtomics>());
}
TEST(ChannelModel, ABatchForTwoReceivers) {
    expect_correct(batch_for_two<ModelAtomics>());
}
TEST(ChannelModel, TwoSendersThatPublishInAnyOrder) {
    expect_correct(many<ModelAtomics, ManyToOne>(2, 1, 2));
}
TEST(ChannelModel, OneOfTwoReceiversGivesUp) {
    expect_correct(one_gives_up<ModelAtomics>());
}
TEST(ChannelModel, SelectOfTwoChannels) {
    expect_correct(select_of_two<ModelAtomics>());
}
TEST(ChannelModel, SelectBesideAReceiver) {
    expect_correct(select_beside_a_receiver<ModelAtomics>());
}

/// The announcement stays in the store buffer while its thread looks at the ring.
struct PlainStores : ModelAtomics {
    template <class Word>
    static void store_seq_cst(Word& word, std::type_identity_t<Word> value) {
        ModelAtomics::store_release(word, value);
    }
};
TEST(BrokenChannel, WakeWordsByPlainStores) {
    expect_found(many<PlainStores, OneToOne>(1, 1, 1));
}

/// Many receivers, of which nobody passes a wake-up on.
struct NotPassedOn : OneToMany {
    static constexpr bool many_receivers = false;
};
TEST(BrokenChannel, WakeUpsThatAreNotPassedOn) {
    expect_found(batch_for_two<ModelAtomics, NotPassedOn>());
}

/// The wake word is read while the progress is still in the store buffer, and two that add at once lose one.
struct ProgressInTwoSteps : ModelAtomics {
    template <class Word>
    static Word fetch_add(Word& word, std::type_identity_t<Word> increment) {
        const Word before = ModelAtomics::load_relaxed(word);
        ModelAtomics::store_release(word, before + increment);
        return before;
    }
};
TEST(BrokenChannel, ProgressInTwoSteps) {
    expect_found(many<ProgressInTwoSteps, ManyToOne>(1, 1, 1));
}
TEST(BrokenChannel, ProgressOfTwoSendersInTwoSteps) {
    expect_found(many<ProgressInTwoSteps, ManyToOne>(2, 1, 2));
}

}  // namespace
}  // namespace exo::guest
