// Rings broken on purpose, each in one way somebody could break them. The explorer must find every one.
#include <cstring>
#include <utility>

#include "ring_scenarios.h"

namespace exo::model {
namespace {

/// The header goes out before the payload.
struct PublishesEarly : ModelAtomics {
    static void copy_to_shared(std::byte* shared, const std::byte* source, std::size_t) {
        std::memcpy(&pending, source, sizeof(pending));
        target = shared;
    }
    template <class Word>
    static void store_release(Word& word, std::type_identity_t<Word> value) {
        ModelAtomics::store_release(word, value);
        if (target == nullptr) return;
        const std::uint64_t payload = pending;
        ModelAtomics::copy_to_shared(std::exchange(target, nullptr),
                                     reinterpret_cast<const std::byte*>(&payload), 8);
    }
    static inline std::uint64_t pending = 0;
    static inline std::byte* target = nullptr;
};

TEST(BrokenRing, EarlyPublication) {
    PublishesEarly::target = nullptr;
    expect_found(one_by_one<PublishesEarly>(2), "data race");
}

/// The slot is given back before the payload is copied out of it.
struct ReleasesEarly : ModelAtomics {
    static void copy_from_shared(std::byte* destination, const std::byte* shared, std::size_t size) {
        auto* slot =
            reinterpret_cast<fusion::Slot*>(const_cast<std::byte*>(shared) - offsetof(fusion::Slot, payload));
        const auto header = fusion::SlotHeader::from_word(slot->header);
        ModelAtomics::store_release(
            slot->header,
            fusion::SlotHeader{header.sequence + 1, fusion::Kind::none, 0, 0}.to_word());  // capacity 2
        ModelAtomics::copy_from_shared(destination, shared, size);
    }
};

TEST(BrokenRing, ReleaseBeforeTheCopy) {
    expect_found(one_by_one<ReleasesEarly>(3), "data race");
}

/// The slot is released for a position that is not the next lap's.
template <std::uint32_t off_by>
struct ReleasesWrongly : ModelAtomics {
    template <class Word>
    static void store_release(Word& word, std::type_identity_t<Word> value) {
        if constexpr (sizeof(Word) == 8) {
            auto header = fusion::SlotHeader::from_word(value);
            if (header.kind == fusion::Kind::none) header.sequence += off_by;
            value = header.to_word();
        }
        ModelAtomics::store_release(word, value);
    }
};

TEST(BrokenRing, ReleaseForTheWrongLap) {
    expect_found(one_by_one<ReleasesWrongly<2>>(5), "nobody can go on");
    expect_found(one_by_one<ReleasesWrongly<0U - 1>>(5), "");
}

/// Publication, or its observation, without order: x86 forgives it, the language does not.
struct PublishesRelaxed : ModelAtomics {
    template <class Word>
    static void store_release(Word& word, std::type_identity_t<Word> value) {
        ModelAtomics::store_relaxed(word, value);
    }
};
struct ObservesRelaxed : ModelAtomics {
    template <class Word>
    static Word load_acquire(const Word& word) {
        return ModelAtomics::load_relaxed(word);
    }
};

TEST(BrokenRing, RelaxedPublication) {
    expect_found(one_by_one<PublishesRelaxed>(2), "data race");
}
TEST(BrokenRing, RelaxedObservation) {
    expect_found(one_by_one<ObservesRelaxed>(2), "data race");
}

/// Claims by a load and a store where an exchange is needed.
struct ClaimsInTwoSteps : ModelAtomics {
    template <class Word>
    static bool compare_exchange(Word& word, Word& expected, std::type_identity_t<Word> desired) {
        const Word found = ModelAtomics::load_acquire(word);
        if (found != expected) {
            expected = found;
            return false;
        }
        ModelAtomics::store_seq_cst(word, desired);
        return true;
    }
};

TEST(BrokenRing, ProducersClaimWithoutAnExchange) {
    expect_found(two_producers<ClaimsInTwoSteps>(2), "");
}
TEST(BrokenRing, ConsumersClaimWithoutAnExchange) {
    expect_found(two_consumers<ClaimsInTwoSteps>(), "");
}

/// Right with one consumer, who releases in order; wrong with many.
template <class Atomics>
class ChecksTheLastSlotOnly {
  public:
    static constexpr fusion::Sharing sharing = fusion::Sharing::one;
    explicit ChecksTheLastSlotOnly(const fusion::Placement<Atomics>&) {}

    fusion::Run take(const fusion::Placement<Atomics>& ring, std::uint32_t wanted) {
        const std::uint32_t last = position_ + wanted - 1;
        if (!fusion::SlotAccess<Atomics>::is_free(ring.slot(last), last)) return {position_, 0};
        return {std::exchange(position_, position_ + wanted), wanted};
    }

  private:
    std::uint32_t position_ = 0;
};

TEST(BrokenRing, BatchChecksItsLastSlotOnly) {
    expect_found(batches_to_two_consumers<ModelAtomics, ChecksTheLastSlotOnly>(), "data race");
}

/// The waiter's announcement stays in its store buffer while it looks at the ring.
struct AnnouncesWithoutFence : ModelAtomics {
    template <class Word>
    static void store_seq_cst(Word& word, std::type_identity_t<Word> value) {
        sizeof(Word) == 8 ? ModelAtomics::store_release(word, value)
                          : ModelAtomics::store_seq_cst(word, value);
    }
};
/// The notifier's progress stays in its store buffer while it looks whether somebody sleeps.
struct ProgressesWithoutFence : ModelAtomics {
    template <class Word>
    static void store_seq_cst(Word& word, std::type_identity_t<Word> value) {
        sizeof(Word) == 4 ? ModelAtomics::store_release(word, value)
                          : ModelAtomics::store_seq_cst(word, value);
    }
};

TEST(BrokenWake, AnnouncementWithoutFence) {
    expect_found(consumer_sleeps<AnnouncesWithoutFence, SpscRing>(1, 2), "consumer sleeps");
}
TEST(BrokenWake, ProgressWithoutFence) {
    expect_found(consumer_sleeps<ProgressesWithoutFence, SpscRing>(1, 2), "consumer sleeps");
}

TEST(BrokenWake, SleepWithoutTheSecondLook) {
    const auto without_look = [](const auto& ring, auto& consumer) {
        fusion::RingHeader& header = ring.header();
        return fusion::Waiter<ModelAtomics>(header.consumer_wake, header.producer.published)
            .prepare(consumer.position(), fusion::Sharing::one, [] { return false; });
    };
    expect_found(consumer_sleeps<ModelAtomics, SpscRing>(1, 2, without_look), "consumer sleeps");
}

TEST(BrokenWake, LookBeforeTheAnnouncement) {
    const auto look_first = [](const auto& ring, auto& consumer) {
        fusion::RingHeader& header = ring.header();
        if (consumer.has_messages()) return false;
        return fusion::Waiter<ModelAtomics>(header.consumer_wake, header.producer.published)
            .prepare(consumer.position(), fusion::Sharing::one, [] { return false; });
    };
    expect_found(consumer_sleeps<ModelAtomics, SpscRing>(1, 2, look_first), "consumer sleeps");
}

/// A message that came before the announcement is owed no notification, and the look passes it by.
TEST(BrokenWake, LookForAllThatIsWaitedFor) {
    const auto look_for_three = [](auto& consumer) { return consumer.prepare_sleep(3); };
    expect_found(told_when_nothing_is_left<ModelAtomics>(2, look_for_three), "consumer sleeps");
}

/// Many producers finish in any order: the one that passes a position need not be the one that publishes its
/// slot.
TEST(BrokenWake, ManyProducersTreatedAsOne) {
    const auto sleep_as_one = [](const auto& ring, auto& consumer) {
        fusion::RingHeader& header = ring.header();
        return fusion::Waiter<ModelAtomics>(header.consumer_wake, header.producer.published)
            .prepare(consumer.position(), fusion::Sharing::one, [&] { return consumer.has_messages(); });
    };
    const auto notify_as_one = [](const auto& ring, auto&) {
        fusion::RingHeader& header = ring.header();
        const std::uint32_t before = ModelAtomics::fetch_add(header.producer.published, 1);
        const auto wake = fusion::WakeWord::from_word(ModelAtomics::load_seq_cst(header.consumer_wake.word));
        return fusion::passes(wake, before, before + 1);
    };
    expect_found(consumer_sleeps<ModelAtomics, MpscRing>(2, 1, sleep_as_one, notify_as_one),
                 "consumer sleeps");
}

}  // namespace
}  // namespace exo::model
