// All interleavings of objects handed back to another CPU's slabs, with the real SlabInbox.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "guest/memory/remote_frees.h"
#include "tests/model/expectations.h"
#include "tests/model/model_atomics.h"

namespace exo::guest {
namespace {

using model::check;
using model::expect_correct;
using model::expect_found;
using model::ModelAtomics;
using model::Scenario;
using model::World;

/// Two slabs of one owner, two objects of each in the hands of each sender.
template <class Atomics>
struct Slabs {
    using Inbox = SlabInbox<Atomics>;

    static constexpr PageIndex pages = 2;
    static constexpr std::size_t object_bytes = 64;

    explicit Slabs(World& world)
        : memory(world.memory(pages * heap_page_size + heap_page_size)),
          infos(reinterpret_cast<PageInfo*>(memory.data() + pages * heap_page_size)),
          inbox(new(&infos[pages]) Inbox),
          map(memory.data(), infos, pages) {
        world.name(inbox, "inbox");
        for (PageIndex page = 0; page < pages; ++page) {
            world.name(&infos[page].remote, "slab " + std::to_string(page) + " word");
            world.name(&infos[page].inbox_next, "slab " + std::to_string(page) + " link");
        }
    }

    FreeObject* object(PageIndex page, std::size_t number) const {
        return reinterpret_cast<FreeObject*>(map.address_of(page) + number * object_bytes);
    }
    /// Hands back one object, or two that are linked already.
    void send(PageIndex page, std::size_t number, std::size_t count = 1) const {
        FreeObject* const head = object(page, number);
        FreeObject* const tail = object(page, number + count - 1);
        if (count == 2) write_link(*head, tail);
        inbox->send(map, page, head, tail, static_cast<std::uint32_t>(count));
    }
    /// The owner's side: every object of a chain is reached, once.
    std::uint32_t drain() const {
        std::uint32_t received = 0;
        inbox->drain(map, [&](PageIndex page, const Chain& chain) {
            std::uint32_t count = 0;
            for (FreeObject* object = chain.head; object != nullptr; object = next_of(*object)) {
                check(map.index_of(object) == page, "an object in the wrong slab's list");
                check(++count <= chain.count, "more objects than were counted");
            }
            check(count == chain.count, "fewer objects than were counted");
            check(count > 0, "a slab in the inbox without objects");
            received += count;
        });
        return received;
    }

    static void write_link(FreeObject& object, FreeObject* next) {
        Atomics::copy_to_shared(reinterpret_cast<std::byte*>(&object.next),
                                reinterpret_cast<const std::byte*>(&next), sizeof next);
    }
    static FreeObject* next_of(const FreeObject& object) {
        FreeObject* next = nullptr;
        Atomics::copy_from_shared(reinterpret_cast<std::byte*>(&next),
                                  reinterpret_cast<const std::byte*>(&object.next), sizeof next);
        return next;
    }

    std::span<std::byte> memory;
    PageInfo* infos;
    Inbox* inbox;
    PageMap map;
};

/// The owner drains until it has all objects, which must be those sent.
template <class Atomics>
void owner_receives(World& world, const std::shared_ptr<Slabs<Atomics>>& slabs, std::uint32_t all) {
    world.thread("owner", [=] {
        std::uint32_t received = 0;
        while (received < all) {
            model::retry([&] { return !slabs->inbox->empty(); });
            received += slabs->drain();
        }
        check(received == all, "an object came back twice");
    });
}

template <class Atomics>
Scenario two_senders_one_slab() {
    return [](World& world) {
        const auto slabs = std::make_shared<Slabs<Atomics>>(world);
        world.thread("sender 1", [=] {
            slabs->send(0, 0);
            slabs->send(0, 1);
        });
        world.thread("sender 2", [=] { slabs->send(0, 2, 2); });
        owner_receives<Atomics>(world, slabs, 4);
    };
}

template <class Atomics>
Scenario two_senders_two_slabs() {
    return [](World& world) {
        const auto slabs = std::make_shared<Slabs<Atomics>>(world);
        world.thread("sender 1", [=] {
            slabs->send(0, 0);
            slabs->send(1, 0);
        });
        world.thread("sender 2", [=] {
            slabs->send(1, 2);
            slabs->send(0, 2);
        });
        owner_receives<Atomics>(world, slabs, 4);
    };
}

TEST(RemoteFreesModel, TwoSendersToOneSlab) {
    expect_correct(two_senders_one_slab<ModelAtomics>());
}

TEST(RemoteFreesModel, TwoSendersToTwoSlabs) {
    expect_correct(two_senders_two_slabs<ModelAtomics>());
}

/// The list's end is written after the list has been published.
struct LinksLate : ModelAtomics {
    static void copy_to_shared(std::byte* shared, const std::byte* source, std::size_t bytes) {
        std::memcpy(&late, source, bytes);
        place = shared;
    }
    template <class Word>
    static bool compare_exchange(Word& word, Word& expected, std::type_identity_t<Word> desired) {
        const bool done = ModelAtomics::compare_exchange(word, expected, desired);
        if (place != nullptr)
            ModelAtomics::copy_to_shared(std::exchange(place, nullptr),
                                         reinterpret_cast<const std::byte*>(&late), sizeof late);
        return done;
    }
    static inline std::uint64_t late = 0;
    static inline std::byte* place = nullptr;
};

TEST(BrokenRemoteFrees, LinkAfterPublication) {
    LinksLate::place = nullptr;
    expect_found(two_senders_one_slab<LinksLate>());
}

/// Looks and stores in two steps, so what others do in between is lost.
struct PublishesByStore : ModelAtomics {
    template <class Word>
    static bool compare_exchange(Word& word, Word& expected, std::type_identity_t<Word> desired) {
        const Word found = ModelAtomics::load_relaxed(word);
        if (found != expected) {
            expected = found;
            return false;
        }
        ModelAtomics::store_release(word, desired);
        return true;
    }
};

TEST(BrokenRemoteFrees, ExchangeInTwoSteps) {
    expect_found(two_senders_one_slab<PublishesByStore>());
}

}  // namespace
}  // namespace exo::guest
