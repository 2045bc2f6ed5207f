#include "guest/memory/packed_objects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "guest/memory/page_map.h"

namespace exo::guest {
namespace {

/// Every second object of a slab goes on the way and comes back; those between them belong to others.
TEST(PackedObjects, ComeBackWholeAndTouchNothingElse) {
    alignas(4096) static std::array<std::byte, heap_page_size> slab;
    constexpr auto others = std::byte{0x77};
    for (SizeClass c = 0; c < size_class_count; ++c) {
        slab.fill(others);
        const std::size_t bytes = size_class_bytes[c];
        std::set<FreeObject*> sent;
        FreeObject* list = nullptr;
        for (std::size_t offset = 0; offset + bytes <= slab.size(); offset += 2 * bytes) {
            list = new (&slab[offset]) FreeObject{list};
            sent.insert(list);
        }
        const PackedObjects::List carriers = PackedObjects::pack(slab.data(), c, list);
        std::size_t carrier_count = 0;
        for (const FreeObject* carrier = carriers.head; carrier != nullptr; carrier = carrier->next)
            ++carrier_count;
        const std::size_t each = PackedObjects::capacity(bytes) + 1;
        EXPECT_EQ(carrier_count, (sent.size() + each - 1) / each);
        EXPECT_EQ(carriers.tail->next, nullptr);

        const PackedObjects::List objects = PackedObjects::unpack(slab.data(), c, carriers.head);
        EXPECT_EQ(objects.tail->next, nullptr);
        std::set<FreeObject*> received;
        for (FreeObject* object = objects.head; object != nullptr; object = object->next)
            EXPECT_TRUE(received.insert(object).second);
        EXPECT_EQ(received, sent);
        for (std::size_t offset = bytes; offset + bytes <= slab.size(); offset += 2 * bytes)
            ASSERT_EQ(std::count(&slab[offset], &slab[offset] + bytes, others), bytes) << "class " << +c;
    }
}

}  // namespace
}  // namespace exo::guest
