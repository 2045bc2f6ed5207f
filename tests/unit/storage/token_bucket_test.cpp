#include "vmm/storage/token_bucket.h"

#include <gtest/gtest.h>

#include <random>

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;
using Time = TokenBucket::Time;

/// Takes pieces of `size` as soon as it may, from `start` on; returns how many went through before `end`.
std::uint64_t taken(TokenBucket& bucket, std::uint64_t size, Time start, Time end) {
    std::uint64_t count = 0;
    for (Time now = start; now < end; now = std::max(now, bucket.ready_at())) {
        bucket.take(size, now);
        ++count;
    }
    return count;
}

TEST(TokenBucket, GivesTheRateAndTheStore) {
    TokenBucket bucket(1000);
    EXPECT_EQ(taken(bucket, 1, 5s, 15s), 10'000u + 100) << "ten seconds, and what was saved up";
}

TEST(TokenBucket, StoreIsNeverMoreThanATenthOfASecond) {
    TokenBucket bucket(1000);
    taken(bucket, 1, 0s, 1s);
    EXPECT_EQ(taken(bucket, 1, 1h, 1h + 1ns), 101u);
}

TEST(TokenBucket, OneSlowOperationASecond) {
    TokenBucket bucket(1);
    EXPECT_LE(bucket.ready_at(), 0s);
    bucket.take(1, 10s);
    EXPECT_EQ(bucket.ready_at(), 10s + 900ms);
    bucket.take(1, 10s + 900ms);
    EXPECT_EQ(bucket.ready_at(), 11s + 900ms) << "nothing saved up";
}

TEST(TokenBucket, LargePieceGoesThroughAndIsPaidForAfterwards) {
    TokenBucket bucket(1000);
    bucket.take(5000, 1s);
    EXPECT_EQ(bucket.ready_at(), 6s - 100ms);
}

TEST(TokenBucket, NoLimit) {
    TokenBucket bucket(0);
    for (int i = 0; i < 1000; ++i) bucket.take(~0ull, 0s);
    EXPECT_LE(bucket.ready_at(), 0s);
}

TEST(TokenBucket, AbsurdAmountsDoNotOverflow) {
    TokenBucket bucket(1);
    bucket.take(~0ull, 1s);
    EXPECT_GT(bucket.ready_at(), 1h);
    TokenBucket fast(~0ull);
    fast.take(1, 1s);
    EXPECT_LE(fast.ready_at(), 1s);
}

TEST(TokenBucket, NeverMoreThanTheRateOverAnyTime) {
    std::mt19937 random(17);
    TokenBucket bucket(1'000'000);
    Time now = 1s;
    std::uint64_t sum = 0;
    for (int i = 0; i < 10'000; ++i) {
        now += Time(random() % 2'000'000);
        if (bucket.ready_at() > now) continue;
        const std::uint64_t size = random() % 4096;
        bucket.take(size, now);
        sum += size;
        ASSERT_LE(sum, static_cast<std::uint64_t>((now - 1s) / 1us) + 100'000 + 4096);
    }
}

}  // namespace
}  // namespace exo::vmm
