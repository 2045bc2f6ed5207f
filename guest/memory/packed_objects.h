// Free objects of one slab on their way to another CPU. In a plain list the receiver would wait for one line
// after the other to come over from the sender's cache, because each says where the next one is. So the first
// object carries the places of as many others as fit into it, and the receiver asks for all those lines at
// once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/memory/free_object.h"
#include "guest/memory/size_classes.h"

namespace exo::guest {

/// `slab` is the start of the page that all the objects are in.
class PackedObjects {
  public:
    struct List {
        FreeObject* head = nullptr;
        FreeObject* tail = nullptr;
    };

    /// Others that an object of so many bytes carries; one of 8 bytes has room for its link only.
    static constexpr std::uint32_t capacity(std::size_t bytes) {
        const std::size_t numbers = (bytes - sizeof(FreeObject)) / sizeof(std::uint16_t);
        return numbers == 0 ? 0 : static_cast<std::uint32_t>(numbers - 1);
    }

    /// Makes a list of carriers of a list of objects.
    static List pack(std::byte* slab, SizeClass size_class, FreeObject* objects) {
        const std::uint32_t most = capacity(size_class_bytes[size_class]);
        List carriers;
        while (objects != nullptr) {
            FreeObject* const carrier = objects;
            objects = carrier->next;
            if (most > 0) objects = load(slab, carrier, objects, most);
            append(carriers, carrier);
        }
        return carriers;
    }

    /// The reverse.
    static List unpack(std::byte* slab, SizeClass size_class, FreeObject* carriers) {
        const bool packed = capacity(size_class_bytes[size_class]) > 0;
        List objects;
        while (carriers != nullptr) {
            FreeObject* const carrier = carriers;
            carriers = carrier->next;
            append(objects, carrier);
            if (packed) unload(slab, carrier, objects);
        }
        return objects;
    }

  private:
    /// How many are carried, and then where they are: offsets in units of 8 bytes.
    static std::uint16_t* load_of(FreeObject* carrier) {
        return reinterpret_cast<std::uint16_t*>(carrier + 1);
    }

    static FreeObject* load(std::byte* slab, FreeObject* carrier, FreeObject* objects, std::uint32_t most) {
        std::uint16_t count = 0;
        for (; objects != nullptr && count < most; objects = objects->next, ++count)
            load_of(carrier)[1 + count] =
                static_cast<std::uint16_t>((reinterpret_cast<std::byte*>(objects) - slab) / 8);
        load_of(carrier)[0] = count;
        return objects;
    }

    static void unload(std::byte* slab, FreeObject* carrier, List& objects) {
        // Linking the carrier has not touched what it carries.
        const std::uint16_t* const numbers = load_of(carrier);
        for (std::uint32_t i = 1; i <= numbers[0]; ++i)
            append(objects, reinterpret_cast<FreeObject*>(slab + std::size_t{numbers[i]} * 8));
    }

    static void append(List& list, FreeObject* object) {
        object->next = nullptr;
        (list.tail != nullptr ? list.tail->next : list.head) = object;
        list.tail = object;
    }
};

}  // namespace exo::guest
