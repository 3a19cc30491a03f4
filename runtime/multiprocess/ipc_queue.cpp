// SPDX-License-Identifier: MIT
// The ring of an ipc_queue. Positions only grow; a byte's place is its position modulo the capacity. What commits a step:
// a put the store of `tail`, a take the store of `head`, an item that is done its holder's count. A take notes where it is
// and what its holder's count was, and counts before it commits; whoever gets the lock from a dead owner finds the note, and
// puts the old count back where the head did not move.
//
// Other processes write to this memory, one with a bug without the lock as well. What is read out of it is read once and
// checked before it is used: head and tail when the lock is taken, a size when it is needed. The capacity is what the sealed
// size of the memory says. So damage is an error here, no walk is longer than the ring, and nobody reads past the end.
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

constexpr std::uint64_t magic = 0x32717565'7064726e;  // changes with the layout
constexpr std::size_t holders_max = 256;
constexpr duration between_looks = std::chrono::milliseconds(50);  // at who has died

/// When a process was started, in the kernel's ticks; 0 where it is not there, or dead already. With its number that names
/// a process for good.
std::uint64_t start_of(int pid) noexcept {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    std::FILE* file = std::fopen(path, "re");
    if (file == nullptr) return 0;
    char text[1024];
    const std::size_t size = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    text[size] = '\0';
    const char* behind_name = std::strrchr(text, ')');  // a name may have anything in it
    char state = 'X';
    unsigned long long start = 0;
    if (behind_name == nullptr ||
        std::sscanf(behind_name + 1,
                    " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                    &state, &start) != 2)
        return 0;
    return state == 'Z' || state == 'X' ? 0 : start;
}

}  // namespace

/// At the beginning of the memory; the bytes are behind it.
struct ipc_ring {
    /// A process that has taken items.
    struct holder {
        std::int32_t pid = 0;  // 0: free
        std::uint32_t taken = 0;
        std::uint64_t start = 0;
        std::uint64_t taking_at = 0;  // one more than the head, while it takes
        std::uint32_t taken_before = 0;
    };

    std::uint64_t kind = magic;
    std::uint64_t capacity;
    robust_mutex mutex;
    shared_signal changed;
    std::uint32_t closed = 0;
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    holder holders[holders_max];

    explicit ipc_ring(std::size_t bytes) : capacity(bytes) {}
};

namespace {

using size_word = std::uint32_t;  // in front of each item

template <class T>
void commit(T& at, T value) noexcept {
    __atomic_store_n(&at, value, __ATOMIC_RELEASE);
}

template <class T>
T read_once(const T& at) noexcept {
    return __atomic_load_n(&at, __ATOMIC_ACQUIRE);
}

/// The ring, with its lock held, for one step.
class locked_ring {
public:
    using holder = ipc_ring::holder;

    locked_ring(ipc_ring& ring, std::uint64_t capacity)
        : at_(ring), capacity_(capacity), held_(ring.mutex.lock()) {
        if (held_.owner_died()) {
            for (holder& each : at_.holders)
                if (std::exchange(each.taking_at, 0) == head_ + 1) each.taken = each.taken_before;
            held_.mark_consistent();
        }
        if (tail_ - head_ > capacity_) throw_damaged();
    }

    bool closed() const noexcept { return at_.closed != 0; }
    void close() noexcept { at_.closed = 1; }
    bool empty() const noexcept { return head_ == tail_; }
    std::uint64_t room() const noexcept { return capacity_ - (tail_ - head_); }

    void put(std::string_view bytes) noexcept {
        const auto size = static_cast<size_word>(bytes.size());
        write(tail_, &size, sizeof size);
        write(tail_ + sizeof size, bytes.data(), bytes.size());
        commit(at_.tail, tail_ + sizeof size + bytes.size());
    }
    void take(std::string& into) {
        const size_word size = size_at(head_);
        into.resize(size);
        holder& mine = own();
        read(head_ + sizeof size, into.data(), size);
        commit(mine.taken_before, mine.taken);
        commit(mine.taking_at, head_ + 1);
        commit(mine.taken, mine.taken + 1);
        commit(at_.head, head_ + sizeof size + size);
        commit(mine.taking_at, std::uint64_t{0});
    }
    void one_is_done() {
        holder* const mine = find_own();
        if (mine == nullptr || mine->taken == 0)
            throw invalid_state_error("task_done of an ipc_queue: this process has no item of it");
        commit(mine->taken, mine->taken - 1);
    }

    std::size_t waiting() const {
        std::size_t count = 0;
        for (std::uint64_t at = head_; at != tail_; at += sizeof(size_word) + size_at(at)) ++count;
        return count;
    }
    std::size_t taken() const noexcept {
        std::size_t count = 0;
        for (const holder& each : at_.holders) count += each.taken;
        return count;
    }
    /// Throws: lost_items_error, for one that has died with some.
    void look_for_the_dead() {
        for (holder& each : at_.holders) {
            const std::uint32_t taken = read_once(each.taken);
            const std::int32_t pid = read_once(each.pid);
            if (taken == 0 || start_of(pid) == each.start) continue;
            const lost_items_error lost(pid, taken);
            forget(each);
            at_.changed.bump();
            throw lost;
        }
    }

private:
    [[noreturn]] static void throw_damaged() {
        throw error("ipc_queue: somebody has written over its memory");
    }

    void write(std::uint64_t at, const void* from, std::size_t size) noexcept {
        const std::size_t place = at % capacity_, first = std::min<std::size_t>(size, capacity_ - place);
        std::memcpy(bytes() + place, from, first);
        std::memcpy(bytes(), static_cast<const std::byte*>(from) + first, size - first);
    }
    void read(std::uint64_t at, void* to, std::size_t size) const noexcept {
        const std::size_t place = at % capacity_, first = std::min<std::size_t>(size, capacity_ - place);
        std::memcpy(to, bytes() + place, first);
        std::memcpy(static_cast<std::byte*>(to) + first, bytes(), size - first);
    }
    std::byte* bytes() const noexcept { return reinterpret_cast<std::byte*>(&at_ + 1); }
    size_word size_at(std::uint64_t at) const {
        const std::uint64_t left = tail_ - at;
        size_word size = 0;
        if (left < sizeof size) throw_damaged();
        read(at, &size, sizeof size);
        if (size > left - sizeof size) throw_damaged();
        return size;
    }

    // -- who has taken what
    holder* find_own() noexcept {
        const int pid = ::getpid();
        for (holder& each : at_.holders)
            if (each.pid == pid && each.start == own_start(pid)) return &each;
        return nullptr;
    }
    holder& own() {
        if (holder* const mine = find_own()) return *mine;
        const int pid = ::getpid();
        for (holder& each : at_.holders) {
            if (each.taken != 0) continue;
            forget(each);
            each.start = own_start(pid);
            commit(each.pid, std::int32_t{pid});
            return each;
        }
        throw limit_error("ipc_queue: more than 256 processes have taken items that are not done");
    }
    static void forget(holder& one) noexcept {
        commit(one.taken, 0u);  // the others mean nothing without
        one = holder();
    }
    static std::uint64_t own_start(int pid) noexcept {
        static int asked_by = 0;  // several threads may find that out at once: each stores the same
        static std::uint64_t start = 0;
        if (__atomic_load_n(&asked_by, __ATOMIC_ACQUIRE) != pid) {
            __atomic_store_n(&start, start_of(pid), __ATOMIC_RELAXED);
            __atomic_store_n(&asked_by, pid, __ATOMIC_RELEASE);
        }
        return __atomic_load_n(&start, __ATOMIC_RELAXED);
    }

    ipc_ring& at_;
    const std::uint64_t capacity_;
    robust_mutex::guard held_;
    const std::uint64_t head_ = read_once(at_.head);
    const std::uint64_t tail_ = read_once(at_.tail);
};

}  // namespace

// -- ipc_bytes_queue --------------------------------------------------------------------------------------------------

ipc_bytes_queue::ipc_bytes_queue(std::size_t capacity)
    : capacity_(std::max<std::size_t>(capacity, sizeof(size_word))) {
    if (capacity_ > SIZE_MAX - sizeof(ipc_ring))
        throw limit_error("ipc_queue: there is no memory of " + std::to_string(capacity) + " bytes");
    memory_ = shared_memory(sizeof(ipc_ring) + capacity_);
    ring_ = &memory_.make<ipc_ring>(0, capacity_);
}

ipc_bytes_queue::ipc_bytes_queue(descriptor made_elsewhere)
    : memory_(shared_memory::adopt(std::move(made_elsewhere))) {
    if (memory_.size() >= sizeof(ipc_ring) + sizeof(size_word)) {
        ring_ = &memory_.at<ipc_ring>(0);
        capacity_ = memory_.size() - sizeof(ipc_ring);
    }
    if (ring_ == nullptr || ring_->kind != magic || ring_->capacity != capacity_)
        throw error("adopt ipc queue: this memory holds something else, or another version of it");
}

// -- one attempt ------------------------------------------------------------------------------------------------------

ipc_bytes_queue::answer ipc_bytes_queue::try_put(std::string_view bytes) const {
    const std::uint64_t needed = sizeof(size_word) + std::uint64_t{bytes.size()};
    if (needed > capacity_ || bytes.size() > UINT32_MAX)
        throw limit_error("ipc_queue: an item of " + std::to_string(bytes.size()) +
                          " bytes, where the queue has " + std::to_string(capacity_));
    {
        locked_ring to(*ring_, capacity_);
        if (to.closed()) return answer::closed;
        if (to.room() < needed) return answer::wait;
        to.put(bytes);
    }
    ring_->changed.bump();
    return answer::done;
}

ipc_bytes_queue::answer ipc_bytes_queue::try_next(std::string& into) const {
    {
        locked_ring from(*ring_, capacity_);
        if (from.empty()) return from.closed() ? answer::closed : answer::wait;
        from.take(into);
    }
    ring_->changed.bump();
    return answer::done;
}

/// Who is dead is asked now and then: it costs a look into /proc for each holder.
bool ipc_bytes_queue::try_join(time_point& next_look) const {
    locked_ring at(*ring_, capacity_);
    if (at.empty() && at.taken() == 0) return true;
    const time_point now = std::chrono::steady_clock::now();
    if (now < next_look) return false;
    next_look = now + between_looks;
    at.look_for_the_dead();
    return false;
}

// -- until one succeeds: what has changed since `seen` was read is looked at again ------------------------------------

task<bool> ipc_bytes_queue::put(std::string bytes) const {
    co_await nothing_to_wait_for();
    for (;;) {
        const std::uint32_t seen = ring_->changed.now();
        const answer got = try_put(bytes);
        if (got != answer::wait) co_return got == answer::done;
        co_await changed(ring_->changed, seen);
    }
}

task<bool> ipc_bytes_queue::next(std::string& into) const {
    co_await nothing_to_wait_for();
    for (;;) {
        const std::uint32_t seen = ring_->changed.now();
        const answer got = try_next(into);
        if (got != answer::wait) co_return got == answer::done;
        co_await changed(ring_->changed, seen);
    }
}

task<> ipc_bytes_queue::join() const {
    co_await nothing_to_wait_for();
    for (time_point next_look = time_point::min();;) {
        const std::uint32_t seen = ring_->changed.now();
        if (try_join(next_look)) co_return;
        co_await move_on_after(between_looks, changed(ring_->changed, seen));
    }
}

bool ipc_bytes_queue::blocking_put(std::string_view bytes) const {
    for (;;) {
        const std::uint32_t seen = ring_->changed.now();
        const answer got = try_put(bytes);
        if (got != answer::wait) return got == answer::done;
        ring_->changed.wait(seen, time_point::max());
    }
}

bool ipc_bytes_queue::blocking_next(std::string& into) const {
    for (;;) {
        const std::uint32_t seen = ring_->changed.now();
        const answer got = try_next(into);
        if (got != answer::wait) return got == answer::done;
        ring_->changed.wait(seen, time_point::max());
    }
}

bool ipc_bytes_queue::blocking_join_for(detail::time_limit timeout) const {
    const time_point deadline = thread_deadline(timeout);
    for (time_point next_look = time_point::min();;) {
        const std::uint32_t seen = ring_->changed.now();
        if (try_join(next_look)) return true;
        if (std::chrono::steady_clock::now() >= deadline) return false;
        ring_->changed.wait(seen, std::min(deadline, next_look));
    }
}

// -- the rest ---------------------------------------------------------------------------------------------------------

void ipc_bytes_queue::task_done() const {
    locked_ring(*ring_, capacity_).one_is_done();
    ring_->changed.bump();
}

void ipc_bytes_queue::close() const {
    locked_ring(*ring_, capacity_).close();
    ring_->changed.bump();
}

bool ipc_bytes_queue::closed() const { return locked_ring(*ring_, capacity_).closed(); }

std::size_t ipc_bytes_queue::size() const { return locked_ring(*ring_, capacity_).waiting(); }

std::size_t ipc_bytes_queue::unfinished() const {
    const locked_ring at(*ring_, capacity_);
    return at.waiting() + at.taken();
}

void throw_queue_closed() { throw queue_closed_error(); }

}  // namespace detail

lost_items_error::lost_items_error(int pid, std::size_t items)
    : error("process " + std::to_string(pid) + " has died with " + std::to_string(items) +
            " items that it had taken and not done"),
      pid_(pid),
      items_(items) {}
lost_items_error::~lost_items_error() = default;

}  // namespace v0
}  // namespace rondo
