// The peers in the shape the patterns ask for. Each is used as its documentation recommends for this use.
#pragma once

#include <concurrentqueue/concurrentqueue.h>
#include <readerwriterqueue/readerwriterqueue.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <tbb/concurrent_queue.h>

#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace exo::bench {

inline constexpr std::size_t peer_capacity = 4096;

template <class Message>
class BoostSpsc {
  public:
    bool try_push(const Message& message) { return queue_.push(message); }
    bool try_pop(Message& message) { return queue_.pop(message); }
    std::size_t try_push_batch(const Message* messages, std::size_t count) {
        return queue_.push(messages, count);
    }
    std::size_t try_pop_batch(Message* messages, std::size_t count) { return queue_.pop(messages, count); }

  private:
    boost::lockfree::spsc_queue<Message, boost::lockfree::capacity<peer_capacity>> queue_;
};

template <class Message>
class BoostQueue {
  public:
    bool try_push(const Message& message) { return queue_.bounded_push(message); }
    bool try_pop(Message& message) { return queue_.pop(message); }

  private:
    boost::lockfree::queue<Message, boost::lockfree::capacity<peer_capacity>> queue_;
};

template <class Message>
class ReaderWriterQueue {
  public:
    bool try_push(const Message& message) { return queue_.try_enqueue(message); }
    bool try_pop(Message& message) { return queue_.try_dequeue(message); }

  private:
    moodycamel::ReaderWriterQueue<Message> queue_{peer_capacity};
};

template <class Message>
class ConcurrentQueue {
  public:
    bool try_push(const Message& message) { return queue_.try_enqueue(producer_, message); }
    bool try_pop(Message& message) { return queue_.try_dequeue(consumer_, message); }
    std::size_t try_push_batch(const Message* messages, std::size_t count) {
        return queue_.try_enqueue_bulk(producer_, messages, count) ? count : 0;
    }
    std::size_t try_pop_batch(Message* messages, std::size_t count) {
        return queue_.try_dequeue_bulk(consumer_, messages, count);
    }

  private:
    moodycamel::ConcurrentQueue<Message> queue_{2 * peer_capacity};
    moodycamel::ProducerToken producer_{queue_};
    moodycamel::ConsumerToken consumer_{queue_};
};

/// DPDK's ring with elements of the message's size, on plain memory, without DPDK's environment.
template <class Message, bool many>
class DpdkRing {
  public:
    DpdkRing() : ring_(allocate()) {
        if (rte_ring_init(ring_.get(), "bench", peer_capacity, many ? 0 : RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
            throw std::runtime_error("rte_ring_init failed");
    }
    bool try_push(const Message& message) {
        if constexpr (many) return rte_ring_mp_enqueue_elem(ring_.get(), copy(message), sizeof(Message)) == 0;
        return rte_ring_sp_enqueue_elem(ring_.get(), copy(message), sizeof(Message)) == 0;
    }
    bool try_pop(Message& message) {
        if constexpr (many) return rte_ring_mc_dequeue_elem(ring_.get(), &message, sizeof(Message)) == 0;
        return rte_ring_sc_dequeue_elem(ring_.get(), &message, sizeof(Message)) == 0;
    }
    std::size_t try_push_batch(const Message* messages, std::size_t count) {
        const auto n = static_cast<unsigned>(count);
        if constexpr (many)
            return rte_ring_mp_enqueue_burst_elem(ring_.get(), messages, sizeof(Message), n, nullptr);
        return rte_ring_sp_enqueue_burst_elem(ring_.get(), messages, sizeof(Message), n, nullptr);
    }
    std::size_t try_pop_batch(Message* messages, std::size_t count) {
        const auto n = static_cast<unsigned>(count);
        if constexpr (many)
            return rte_ring_mc_dequeue_burst_elem(ring_.get(), messages, sizeof(Message), n, nullptr);
        return rte_ring_sc_dequeue_burst_elem(ring_.get(), messages, sizeof(Message), n, nullptr);
    }

  private:
    struct Free {
        void operator()(rte_ring* ring) const { std::free(ring); }
    };
    static rte_ring* allocate() {
        const ssize_t bytes = rte_ring_get_memsize_elem(sizeof(Message), peer_capacity);
        if (bytes < 0) throw std::runtime_error("rte_ring cannot have elements of this size");
        return static_cast<rte_ring*>(
            std::aligned_alloc(4096, (static_cast<std::size_t>(bytes) + 4095) / 4096 * 4096));
    }
    static void* copy(const Message& message) { return const_cast<Message*>(&message); }

    std::unique_ptr<rte_ring, Free> ring_;
};
template <class Message>
using DpdkSpSc = DpdkRing<Message, false>;
template <class Message>
using DpdkMpMc = DpdkRing<Message, true>;

template <class Message>
class TbbQueue {
  public:
    TbbQueue() { queue_.set_capacity(peer_capacity); }
    bool try_push(const Message& message) { return queue_.try_push(message); }
    bool try_pop(Message& message) { return queue_.try_pop(message); }

  private:
    tbb::concurrent_bounded_queue<Message> queue_;
};

/// What the original design meant to replace.
template <class Message>
class MutexDeque {
  public:
    bool try_push(const Message& message) { return try_push_batch(&message, 1) == 1; }
    bool try_pop(Message& message) { return try_pop_batch(&message, 1) == 1; }
    std::size_t try_push_batch(const Message* messages, std::size_t count) {
        const std::lock_guard lock(mutex_);
        std::size_t pushed = 0;
        while (pushed < count && queue_.size() < peer_capacity) queue_.push_back(messages[pushed++]);
        return pushed;
    }
    std::size_t try_pop_batch(Message* messages, std::size_t count) {
        const std::lock_guard lock(mutex_);
        std::size_t popped = 0;
        while (popped < count && !queue_.empty()) {
            messages[popped++] = queue_.front();
            queue_.pop_front();
        }
        return popped;
    }

  private:
    std::mutex mutex_;
    std::deque<Message> queue_;
};

}  // namespace exo::bench
