#include "guest/drivers/block/disk_load_job.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "guest/sched/scheduler.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

constexpr std::string_view what = "cannot put a load on the disk";
constexpr unsigned read_share = 70;  ///< percent of a mixed load
constexpr std::uint64_t looks_every_ns = 50 * ns_per_ms;
constexpr std::uint64_t nap_ns = 20 * ns_per_ms;

}  // namespace

DiskLoadJob::DiskLoadJob(Common& common, unsigned number)
    : common_(common), number_(number), random_(common.load.seed * 1'000'003 + number) {
    const DiskLoad& load = common.load;
    const std::uint64_t all = common.disk.info().sectors * sector_size / load.block;
    blocks_ = all / load.jobs;
    if (load.verify) blocks_ = std::min(blocks_, DiskLoad::most_verified);
    first_block_ = all / load.jobs * number;
    most_operations_ = load.count / load.jobs + (number < load.count % load.jobs ? 1 : 0);
}

Result<std::unique_ptr<DiskLoadJob>> DiskLoadJob::create(Common& common, unsigned number) {
    std::unique_ptr<DiskLoadJob> job(new (std::nothrow) DiskLoadJob(common, number));
    if (job == nullptr) return out_of_memory(what);
    const DiskLoad& load = common.load;
    // While one is under way there is another to choose.
    if (job->blocks_ <= load.depth) return fail(what, "it is too small for so many requests of this size");
    if (load.verify) {
        job->versions_.reset(new (std::nothrow) std::uint32_t[job->blocks_]());
        if (job->versions_ == nullptr) return out_of_memory(what);
    }
    for (Slot& slot : std::span(job->slots_).first(load.depth)) {
        auto memory = DmaBuffer::allocate(common.services.dma, load.block);
        if (!memory) return std::unexpected(memory.error());
        slot.memory = std::move(*memory);
        slot.segment = slot.memory.span().subspan(0, load.block);
        slot.request.segments = {&slot.segment, 1};
    }
    return job;
}

void DiskLoadJob::run() {
    TimeSource& time = common_.services.time;
    const std::uint64_t began = thread_time();
    for (;;) {
        const std::uint64_t now = time.now_ns();
        const bool ending = over(now);
        if (!ending) submit_more(now);
        if (busy_ > 0)
            wait_and_finish();
        else if (ending)
            break;
        else
            this_thread::sleep_until(std::min(due_ns(), now + nap_ns));
    }
    result_.elapsed_ns = time.now_ns() - common_.start_ns;
    result_.cpu_ns = thread_time() - began;
    if (common_.load.verify && !common_.stop) read_all_again();
}

bool DiskLoadJob::over(std::uint64_t now_ns) {
    const DiskLoad& load = common_.load;
    // Asking may cost as much as many requests.
    if (number_ == 0 && (asked_ns_ == 0 || now_ns - asked_ns_ >= looks_every_ns)) {
        asked_ns_ = now_ns;
        result_.interrupted = !common_.go_on(common_.context);
        if (result_.interrupted) common_.stop = true;
    }
    const bool enough = load.count != 0 && submitted_ >= most_operations_;
    const bool late = load.time_ns != 0 && now_ns - common_.start_ns >= load.time_ns;
    return common_.stop.load(std::memory_order_relaxed) || enough || late;
}

/// When the next operation is due; 0 when it is always.
std::uint64_t DiskLoadJob::due_ns() const {
    if (common_.load.rate == 0) return 0;
    // All jobs together keep to the rate: they take turns.
    const std::uint64_t number = submitted_ * common_.load.jobs + number_;
    return common_.start_ns + number / common_.load.rate * ns_per_s +
           number % common_.load.rate * ns_per_s / common_.load.rate;
}

void DiskLoadJob::submit_more(std::uint64_t now_ns) {
    std::array<BlockRequest*, DiskLoad::most_depth> requests;
    std::size_t count = 0;
    for (Slot& slot : std::span(slots_).first(common_.load.depth)) {
        if (slot.busy) continue;
        const bool enough = common_.load.count != 0 && submitted_ >= most_operations_;
        if (enough || due_ns() > now_ns) break;
        prepare(slot, now_ns);
        requests[count++] = &slot.request;
    }
    if (count == 0) return;
    // The thread may have moved; what is under way stays where it is.
    if (busy_ == count) queue_ = &common_.disk.queue_here();
    queue_->submit(std::span(requests).first(count));
}

void DiskLoadJob::prepare(Slot& slot, std::uint64_t now_ns) {
    const IoPattern pattern = common_.load.pattern;
    const bool mixed_read = pattern == IoPattern::mixed && random_.below(100) < read_share;
    const bool write = writes(pattern) && !mixed_read;
    pick_block(slot);
    if (versions_ != nullptr) {
        if (write) ++versions_[slot.block];
        slot.version = versions_[slot.block];
        if (write) fill(slot);
    }
    slot.request.operation = write ? BlockOperation::write : BlockOperation::read;
    slot.request.sector = (first_block_ + slot.block) * (common_.load.block / sector_size);
    slot.request.reset();
    slot.start_ns = now_ns;
    slot.busy = true;
    ++busy_;
    ++submitted_;
}

/// Two requests for one block are never under way together: which of them is first nobody could tell.
void DiskLoadJob::pick_block(Slot& slot) {
    const IoPattern pattern = common_.load.pattern;
    const bool in_order = pattern == IoPattern::read || pattern == IoPattern::write;
    do {
        slot.block = in_order ? next_block_++ % blocks_ : random_.below(blocks_);
    } while (is_busy(slot.block));
}

bool DiskLoadJob::is_busy(std::uint64_t block) const {
    return std::ranges::any_of(std::span(slots_).first(common_.load.depth),
                               [&](const Slot& slot) { return slot.busy && slot.block == block; });
}

void DiskLoadJob::wait_and_finish() {
    std::array<BlockRequest*, DiskLoad::most_depth> requests;
    std::size_t count = 0;
    for (Slot& slot : std::span(slots_).first(common_.load.depth))
        if (slot.busy) requests[count++] = &slot.request;
    queue_->wait_any(std::span(requests).first(count));
    const std::uint64_t now = common_.services.time.now_ns();
    for (Slot& slot : std::span(slots_).first(common_.load.depth))
        if (slot.busy && slot.request.done()) finish(slot, now);
}

void DiskLoadJob::finish(Slot& slot, std::uint64_t now_ns) {
    slot.busy = false;
    --busy_;
    const BlockStatus status = slot.request.status.load(std::memory_order_acquire);
    if (status != BlockStatus::ok) return fail_at(slot, status);
    const bool read = slot.request.operation == BlockOperation::read;
    if (!checking_) {
        const std::uint64_t latency = now_ns - slot.start_ns;
        ++result_.operations;
        ++(read ? result_.reads : result_.writes);
        result_.latency.add(latency);
        result_.longest_ns = std::max(result_.longest_ns, latency);
    }
    if (!read || versions_ == nullptr || slot.version == 0) return;
    ++result_.verified;
    if (matches(slot)) return;
    result_.mismatch = true;
    fail_at(slot, BlockStatus::ok);
}

void DiskLoadJob::fail_at(const Slot& slot, BlockStatus status) {
    if (!result_.error) {
        result_.error = status;
        result_.error_sector = slot.request.sector;
    }
    common_.stop = true;
}

/// A block's content says which block it is, and how often it has been written.
void DiskLoadJob::fill(const Slot& slot) const {
    NumberStream words(common_.load.seed ^ (first_block_ + slot.block) << 32 ^ slot.version);
    for (std::size_t at = 0; at < slot.segment.size; at += 8) {
        const std::uint64_t word = words.next();
        std::memcpy(slot.segment.data + at, &word, sizeof word);
    }
}

bool DiskLoadJob::matches(const Slot& slot) const {
    NumberStream words(common_.load.seed ^ (first_block_ + slot.block) << 32 ^ slot.version);
    for (std::size_t at = 0; at < slot.segment.size; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, slot.segment.data + at, sizeof word);
        if (word != words.next()) return false;
    }
    return true;
}

/// All that this job has written.
void DiskLoadJob::read_all_again() {
    checking_ = true;
    Slot& slot = slots_[0];
    for (slot.block = 0; slot.block < blocks_ && !common_.stop; ++slot.block) {
        slot.version = versions_[slot.block];
        if (slot.version == 0) continue;
        slot.request.operation = BlockOperation::read;
        slot.request.sector = (first_block_ + slot.block) * (common_.load.block / sector_size);
        std::memset(slot.segment.data, 0, slot.segment.size);
        common_.disk.queue_here().run(slot.request);
        ++busy_;
        finish(slot, 0);
    }
}

/// What this thread has had of the CPUs so far; 0 where there are no threads.
std::uint64_t DiskLoadJob::thread_time() const {
    Thread* const self = Thread::current();
    if (self == nullptr) return 0;
    constexpr std::size_t most = 128;
    const std::unique_ptr<ThreadInfo[]> infos(new (std::nothrow) ThreadInfo[most]);
    if (infos == nullptr) return 0;
    const auto listed = std::span(infos.get(), self->scheduler().list({infos.get(), most}));
    const auto own = std::ranges::find_if(
        listed, [&](const ThreadInfo& info) { return info.id == self->id() && !info.is_idle; });
    return own != listed.end() ? own->run_time : 0;
}

}  // namespace exo::guest
