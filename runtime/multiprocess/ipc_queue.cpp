// SPDX-License-Identifier: MIT
// ipc_queue: a circular buffer of bytes in shared memory. Positions only grow; the byte at a
// position lies at that position modulo the capacity.
//
// Each step is committed by one store: a put by `tail`, a take by `head`, task_done by the holder's
// count. The number of items is derived from these: it is counted again after a death.
// A take first records the head and the holder's old count, then increments the count, then
// commits. If the owner of the lock dies, the next owner finds this record, and restores the old
// count if the head did not move.
//
// Other processes write to this memory, and a faulty one may do so without the lock. So each value
// is read once and checked before use: head and tail when the lock is taken, a size when it is
// needed. The capacity comes from the memory's sealed size. Damage therefore gives an error: no
// loop is longer than the buffer, and no read goes past its end.
#include <rondo/ipc_queue.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <rondo/shared_sync.hpp>
#include <rondo/sleep.hpp>
#include <rondo/thread_sync.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint64_t magic = 0x33717565'7064726e;  // changes with the layout
constexpr std::size_t holders_max = 256;
constexpr duration holder_check_interval = std::chrono::milliseconds(50);

/// The start time of a process in clock ticks since boot; 0 if it does not exist or is dead. The
/// pid and the start time together identify a process, also after its pid was reused. See: proc(5).
std::uint64_t start_time_of(int pid) noexcept {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    std::FILE* file = std::fopen(path, "re");
    if (file == nullptr) return 0;
    char text[1024];
    const std::size_t size = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    text[size] = '\0';
    const char* name_end = std::strrchr(text, ')');  // the name itself may contain any character
    char state = 'X';
    unsigned long long start = 0;
    if (name_end == nullptr ||
        std::sscanf(
            name_end + 1,
            " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
            &state, &start) != 2)
        return 0;
    return state == 'Z' || state == 'X' ? 0 : start;
}

}  // namespace

/// The beginning of the shared memory; the items' bytes follow it.
struct ipc_queue_header {
    /// A process that has taken items which are not done.
    struct holder {
        std::int32_t pid = 0;  // 0: free
        std::uint32_t taken = 0;
        std::uint64_t start = 0;
        std::uint64_t taking_at = 0;     // during a take: one more than the head
        std::uint32_t taken_before = 0;  // `taken` before this take
    };

    std::uint64_t kind = magic;
    std::uint64_t capacity;
    robust_mutex mutex;
    shared_signal changed;
    std::uint32_t closed = 0;
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    std::uint64_t items = 0;
    std::uint64_t items_max;
    holder holders[holders_max];

    ipc_queue_header(std::size_t bytes, std::size_t most) : capacity(bytes), items_max(most) {}
};

namespace {

using size_word = std::uint32_t;  // precedes each item

template <class T>
void commit(T& at, T value) noexcept {
    __atomic_store_n(&at, value, __ATOMIC_RELEASE);
}

template <class T>
T read_once(const T& at) noexcept {
    return __atomic_load_n(&at, __ATOMIC_ACQUIRE);
}

/// Holds the queue's lock, for one step.
class locked_queue {
public:
    using holder = ipc_queue_header::holder;

    locked_queue(ipc_queue_header& header, std::uint64_t capacity)
        : header_(header), capacity_(capacity), held_(header.mutex.lock()) {
        const bool owner_died = held_.owner_died();
        if (owner_died) {
            for (holder& each : header_.holders)
                if (std::exchange(each.taking_at, 0) == head_ + 1) each.taken = each.taken_before;
            held_.mark_consistent();
        }
        if (tail_ - head_ > capacity_) throw_damaged();
        if (owner_died) commit(header_.items, std::uint64_t{waiting()});
        items_ = read_once(header_.items);
        if (items_ > (tail_ - head_) / sizeof(size_word)) throw_damaged();
    }

    bool closed() const noexcept { return header_.closed != 0; }
    void close() noexcept { header_.closed = 1; }
    bool empty() const noexcept { return head_ == tail_; }
    bool has_room(std::uint64_t bytes) const noexcept {
        return bytes <= capacity_ - (tail_ - head_) && items_ < read_once(header_.items_max);
    }

    void put(std::string_view bytes) noexcept {
        const auto size = static_cast<size_word>(bytes.size());
        write(tail_, &size, sizeof size);
        write(tail_ + sizeof size, bytes.data(), bytes.size());
        commit(header_.tail, tail_ + sizeof size + bytes.size());
        commit(header_.items, items_ + 1);
    }
    void take(std::string& into) {
        const size_word size = size_at(head_);
        into.resize(size);
        holder& mine = own();
        read(head_ + sizeof size, into.data(), size);
        commit(mine.taken_before, mine.taken);
        commit(mine.taking_at, head_ + 1);
        commit(mine.taken, mine.taken + 1);
        commit(header_.head, head_ + sizeof size + size);
        commit(header_.items, items_ - 1);
        commit(mine.taking_at, std::uint64_t{0});
    }
    void task_done() {
        holder* const mine = find_own();
        if (mine == nullptr || mine->taken == 0)
            throw invalid_state_error(
                "task_done of an ipc_queue: this process has no item that is not done");
        commit(mine->taken, mine->taken - 1);
    }

    std::size_t waiting() const {
        std::size_t count = 0;
        for (std::uint64_t at = head_; at != tail_; at += sizeof(size_word) + size_at(at)) ++count;
        return count;
    }
    std::size_t taken() const noexcept {
        std::size_t count = 0;
        for (const holder& each : header_.holders) count += each.taken;
        return count;
    }
    /// Throws: lost_items_error for the first holder that has died.
    void check_holders() {
        for (holder& each : header_.holders) {
            const std::uint32_t taken = read_once(each.taken);
            const std::int32_t pid = read_once(each.pid);
            if (taken == 0 || start_time_of(pid) == each.start) continue;
            const lost_items_error lost(pid, taken);
            release(each);
            header_.changed.bump();
            throw lost;
        }
    }

private:
    [[noreturn]] static void throw_damaged() {
        throw error("ipc_queue: another process has overwritten its memory");
    }

    void write(std::uint64_t at, const void* from, std::size_t size) noexcept {
        const std::size_t place = at % capacity_,
                          first = std::min<std::size_t>(size, capacity_ - place);
        std::memcpy(bytes() + place, from, first);
        std::memcpy(bytes(), static_cast<const std::byte*>(from) + first, size - first);
    }
    void read(std::uint64_t at, void* to, std::size_t size) const noexcept {
        const std::size_t place = at % capacity_,
                          first = std::min<std::size_t>(size, capacity_ - place);
        std::memcpy(to, bytes() + place, first);
        std::memcpy(static_cast<std::byte*>(to) + first, bytes(), size - first);
    }
    std::byte* bytes() const noexcept { return reinterpret_cast<std::byte*>(&header_ + 1); }
    size_word size_at(std::uint64_t at) const {
        const std::uint64_t left = tail_ - at;
        size_word size = 0;
        if (left < sizeof size) throw_damaged();
        read(at, &size, sizeof size);
        if (size > left - sizeof size) throw_damaged();
        return size;
    }

    // -- holders
    holder* find_own() noexcept {
        const int pid = ::getpid();
        for (holder& each : header_.holders)
            if (each.pid == pid && each.start == own_start_time(pid)) return &each;
        return nullptr;
    }
    holder& own() {
        if (holder* const mine = find_own()) return *mine;
        const int pid = ::getpid();
        for (holder& each : header_.holders) {
            if (each.taken != 0) continue;
            release(each);
            each.start = own_start_time(pid);
            commit(each.pid, std::int32_t{pid});
            return each;
        }
        throw limit_error("ipc_queue: more than 256 processes have taken items that are not done");
    }
    static void release(holder& one) noexcept {
        commit(one.taken, 0u);  // with 0 here the other fields have no meaning
        one = holder();
    }
    static std::uint64_t own_start_time(int pid) noexcept {
        static int known_pid = 0;  // several threads may compute this at once: all store the same
        static std::uint64_t start = 0;
        if (__atomic_load_n(&known_pid, __ATOMIC_ACQUIRE) != pid) {
            __atomic_store_n(&start, start_time_of(pid), __ATOMIC_RELAXED);
            __atomic_store_n(&known_pid, pid, __ATOMIC_RELEASE);
        }
        return __atomic_load_n(&start, __ATOMIC_RELAXED);
    }

    ipc_queue_header& header_;
    const std::uint64_t capacity_;
    robust_mutex::guard held_;
    const std::uint64_t head_ = read_once(header_.head);
    const std::uint64_t tail_ = read_once(header_.tail);
    std::uint64_t items_ = 0;
};

}  // namespace

// -- ipc_bytes_queue ------------------------------------------------------------------------------

ipc_bytes_queue::ipc_bytes_queue(ipc_queue_options options)
    : capacity_(std::max<std::size_t>(options.bytes, sizeof(size_word))) {
    if (capacity_ > SIZE_MAX - sizeof(ipc_queue_header))
        throw limit_error("ipc_queue: a capacity of " + std::to_string(options.bytes) +
                          " bytes is larger than the address space");
    if (!is_count(options.items))
        throw limit_error("ipc_queue: the bound in items is a negative number");
    memory_ = shared_memory(sizeof(ipc_queue_header) + capacity_);
    const std::size_t most = options.items != 0 ? options.items : SIZE_MAX;
    header_ = &memory_.make<ipc_queue_header>(0, capacity_, most);
}

ipc_bytes_queue::ipc_bytes_queue(descriptor made_elsewhere)
    : memory_(shared_memory::adopt(std::move(made_elsewhere))) {
    if (memory_.size() >= sizeof(ipc_queue_header) + sizeof(size_word)) {
        header_ = &memory_.at<ipc_queue_header>(0);
        capacity_ = memory_.size() - sizeof(ipc_queue_header);
    }
    if (header_ == nullptr || header_->kind != magic || header_->capacity != capacity_)
        throw error(
            "adopt ipc queue: the memory holds no ipc_queue, or one of another version of rondo");
}

// -- one attempt ----------------------------------------------------------------------------------

ipc_bytes_queue::outcome ipc_bytes_queue::attempt_put(std::string_view bytes) const {
    const std::uint64_t needed = sizeof(size_word) + std::uint64_t{bytes.size()};
    if (needed > capacity_ || bytes.size() > UINT32_MAX)
        throw limit_error("ipc_queue: an item of " + std::to_string(bytes.size()) +
                          " bytes does not fit into a queue of " + std::to_string(capacity_) +
                          " bytes");
    {
        locked_queue queue(*header_, capacity_);
        if (queue.closed()) return outcome::closed;
        if (!queue.has_room(needed)) return outcome::wait;
        queue.put(bytes);
    }
    header_->changed.bump();
    return outcome::done;
}

ipc_bytes_queue::outcome ipc_bytes_queue::attempt_next(std::string& into) const {
    {
        locked_queue queue(*header_, capacity_);
        if (queue.empty()) return queue.closed() ? outcome::closed : outcome::wait;
        queue.take(into);
    }
    header_->changed.bump();
    return outcome::done;
}

/// Checks for dead holders at intervals only: that reads a file of /proc for each holder.
bool ipc_bytes_queue::try_join(time_point& next_check) const {
    locked_queue queue(*header_, capacity_);
    if (queue.empty() && queue.taken() == 0) return true;
    const time_point now = std::chrono::steady_clock::now();
    if (now < next_check) return false;
    next_check = now + holder_check_interval;
    queue.check_holders();
    return false;
}

// -- attempts until one succeeds ------------------------------------------------------------------
// `seen` is read before the attempt, so a change after that makes the wait return at once.

namespace {

/// True: `attempt` is done; false: the queue is closed.
template <class Attempt>
task<bool> repeat(shared_signal* signal, Attempt attempt) {
    using outcome = decltype(attempt());
    co_await checkpoint();
    for (;;) {
        const std::uint32_t seen = signal->now();
        const outcome got = attempt();
        if (got != outcome::wait) co_return got == outcome::done;
        co_await changed(*signal, seen);
    }
}

/// Like repeat, on a thread, which it blocks.
template <class Attempt>
bool repeat_blocking(shared_signal& signal, Attempt attempt) {
    using outcome = decltype(attempt());
    for (;;) {
        const std::uint32_t seen = signal.now();
        const outcome got = attempt();
        if (got != outcome::wait) return got == outcome::done;
        signal.wait(seen, time_point::max());
    }
}

}  // namespace

task<bool> ipc_bytes_queue::put(std::string bytes) const {
    return repeat(&header_->changed,
                  [this, bytes = std::move(bytes)] { return attempt_put(bytes); });
}

task<bool> ipc_bytes_queue::next(std::string& into) const {
    return repeat(&header_->changed, [this, &into] { return attempt_next(into); });
}

task<> ipc_bytes_queue::join() const {
    co_await checkpoint();
    for (time_point next_check = time_point::min();;) {
        const std::uint32_t seen = header_->changed.now();
        if (try_join(next_check)) co_return;
        co_await move_on_after(holder_check_interval, changed(header_->changed, seen));
    }
}

bool ipc_bytes_queue::blocking_put(std::string_view bytes) const {
    return repeat_blocking(header_->changed, [&] { return attempt_put(bytes); });
}

bool ipc_bytes_queue::blocking_next(std::string& into) const {
    return repeat_blocking(header_->changed, [&] { return attempt_next(into); });
}

bool ipc_bytes_queue::blocking_join_for(detail::time_limit timeout) const {
    const time_point deadline = thread_deadline(timeout);
    for (time_point next_check = time_point::min();;) {
        const std::uint32_t seen = header_->changed.now();
        if (try_join(next_check)) return true;
        if (std::chrono::steady_clock::now() >= deadline) return false;
        header_->changed.wait(seen, std::min(deadline, next_check));
    }
}

bool ipc_bytes_queue::try_put(std::string_view bytes) const {
    const outcome got = attempt_put(bytes);
    if (got == outcome::closed) throw_queue_closed();
    return got == outcome::done;
}

bool ipc_bytes_queue::try_get(std::string& into) const {
    return attempt_next(into) == outcome::done;
}

// -- the rest -------------------------------------------------------------------------------------

void ipc_bytes_queue::task_done() const {
    locked_queue(*header_, capacity_).task_done();
    header_->changed.bump();
}

void ipc_bytes_queue::close() const {
    locked_queue(*header_, capacity_).close();
    header_->changed.bump();
}

bool ipc_bytes_queue::closed() const { return locked_queue(*header_, capacity_).closed(); }

bool ipc_bytes_queue::empty() const { return locked_queue(*header_, capacity_).empty(); }

bool ipc_bytes_queue::full() const {
    constexpr std::size_t smallest_item = sizeof(size_word) + 1;
    return !locked_queue(*header_, capacity_).has_room(smallest_item);
}

std::size_t ipc_bytes_queue::size() const { return locked_queue(*header_, capacity_).waiting(); }

std::size_t ipc_bytes_queue::unfinished() const {
    const locked_queue queue(*header_, capacity_);
    return queue.waiting() + queue.taken();
}

void throw_queue_closed() { throw queue_closed_error(); }

}  // namespace detail

lost_items_error::lost_items_error(int pid, std::size_t items)
    : error("process " + std::to_string(pid) + " died with " + std::to_string(items) +
            " items of an ipc_queue that were not done"),
      pid_(pid),
      items_(items) {}
lost_items_error::~lost_items_error() = default;

}  // namespace v0
}  // namespace rondo
