// SPDX-License-Identifier: MIT
// The ring of an ipc_queue. Positions only grow; a byte's place is its position modulo the capacity. What commits a step:
// a put the store of `tail`, a take the store of `head`, an item that is done its holder's count. A take counts for its
// holder first and notes where it is; whoever gets the lock from a dead owner finds the note, and undoes the count where
// the head did not move.
#include <rondo/ipc_queue.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <rondo/thread_sync.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint64_t magic = 0x31717565'7064726e;  // changes with the layout
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

    std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }

    robust_mutex::guard lock() {
        robust_mutex::guard held = mutex.lock();
        if (held.owner_died()) {
            for (holder& each : holders)
                if (std::exchange(each.taking_at, 0) == head + 1 && each.taken != 0) --each.taken;
            held.mark_consistent();
        }
        return held;
    }

    void write(std::uint64_t at, const void* from, std::size_t size) noexcept {
        const std::size_t place = at % capacity, first = std::min<std::size_t>(size, capacity - place);
        std::memcpy(bytes() + place, from, first);
        std::memcpy(bytes(), static_cast<const std::byte*>(from) + first, size - first);
    }
    void read(std::uint64_t at, void* to, std::size_t size) noexcept {
        const std::size_t place = at % capacity, first = std::min<std::size_t>(size, capacity - place);
        std::memcpy(to, bytes() + place, first);
        std::memcpy(static_cast<std::byte*>(to) + first, bytes(), size - first);
    }
    std::uint32_t size_at(std::uint64_t at) noexcept {
        std::uint32_t size = 0;
        read(at, &size, sizeof size);
        return size;
    }
    std::size_t waiting() noexcept {
        std::size_t count = 0;
        for (std::uint64_t at = head; at != tail; at += sizeof(std::uint32_t) + size_at(at)) ++count;
        return count;
    }
    std::size_t taken() noexcept {
        std::size_t count = 0;
        for (const holder& each : holders) count += each.taken;
        return count;
    }

    /// This process's; made where there is none and `make` says so.
    holder* own(bool make) {
        const int pid = ::getpid();
        holder* free = nullptr;
        for (holder& each : holders) {
            if (each.pid == pid && each.start == own_start(pid)) return &each;
            if (free == nullptr && each.pid == 0) free = &each;
        }
        if (!make) return nullptr;
        if (free == nullptr) free = forget_one_that_is_done();
        if (free == nullptr)
            throw limit_error("ipc_queue: more than 256 processes have taken items that are not done");
        free->start = own_start(pid);
        free->pid = pid;
        return free;
    }
    holder* forget_one_that_is_done() noexcept {
        for (holder& each : holders)
            if (each.taken == 0) return each = holder(), &each;
        return nullptr;
    }
    static std::uint64_t own_start(int pid) noexcept {
        static int asked_by = 0;  // under the lock of whichever queue: a second answer is the same
        static std::uint64_t start = 0;
        if (__atomic_load_n(&asked_by, __ATOMIC_ACQUIRE) != pid) {
            __atomic_store_n(&start, start_of(pid), __ATOMIC_RELAXED);
            __atomic_store_n(&asked_by, pid, __ATOMIC_RELEASE);
        }
        return __atomic_load_n(&start, __ATOMIC_RELAXED);
    }

    /// Throws: lost_items_error, for one that has died with some.
    void look_for_the_dead() {
        for (holder& each : holders) {
            if (each.taken == 0 || start_of(each.pid) == each.start) continue;
            const lost_items_error lost(each.pid, each.taken);
            each = holder();
            changed.bump();
            throw lost;
        }
    }
};

// -- ipc_bytes_queue --------------------------------------------------------------------------------------------------

ipc_bytes_queue::ipc_bytes_queue(std::size_t capacity)
    : memory_(sizeof(ipc_ring) + std::max<std::size_t>(capacity, 1)) {
    memory_.make<ipc_ring>(0, std::max<std::size_t>(capacity, 1));
}

ipc_bytes_queue::ipc_bytes_queue(descriptor made_elsewhere)
    : memory_(shared_memory::adopt(std::move(made_elsewhere))) {
    if (memory_.size() < sizeof(ipc_ring) || ring().kind != magic ||
        ring().capacity != memory_.size() - sizeof(ipc_ring))
        throw error("adopt ipc queue: this memory holds something else, or another version of it");
}

ipc_ring& ipc_bytes_queue::ring() const { return memory_.at<ipc_ring>(0); }

void ipc_bytes_queue::nudge() const noexcept { ring().changed.bump(); }

ipc_bytes_queue::answer ipc_bytes_queue::put(std::string_view bytes, time_point deadline,
                                             const std::stop_token& stop) const {
    ipc_ring& to = ring();
    const std::uint32_t size = static_cast<std::uint32_t>(bytes.size());
    const std::uint64_t needed = sizeof size + bytes.size();
    if (needed > to.capacity)
        throw limit_error("ipc_queue: an item of " + std::to_string(bytes.size()) +
                          " bytes, where the queue has " + std::to_string(to.capacity));
    for (bool in_time = true;;) {
        const std::uint32_t seen = to.changed.now();
        {
            const robust_mutex::guard held = to.lock();
            if (to.closed != 0) return answer::closed;
            if (to.capacity - (to.tail - to.head) >= needed) {
                to.write(to.tail, &size, sizeof size);
                to.write(to.tail + sizeof size, bytes.data(), bytes.size());
                __atomic_store_n(&to.tail, to.tail + needed, __ATOMIC_RELEASE);
                break;
            }
        }
        if (!in_time || deadline == time_point::min()) return answer::late;
        if (stop.stop_requested()) return answer::stopped;
        in_time = to.changed.wait(seen, deadline);
    }
    to.changed.bump();
    return answer::done;
}

ipc_bytes_queue::answer ipc_bytes_queue::next(std::string& into, time_point deadline,
                                              const std::stop_token& stop) const {
    ipc_ring& from = ring();
    for (bool in_time = true;;) {
        const std::uint32_t seen = from.changed.now();
        {
            const robust_mutex::guard held = from.lock();
            if (from.head != from.tail) {
                const std::uint32_t size = from.size_at(from.head);
                into.resize(size);
                ipc_ring::holder& mine = *from.own(true);
                from.read(from.head + sizeof size, into.data(), size);
                __atomic_store_n(&mine.taking_at, from.head + 1, __ATOMIC_RELEASE);
                __atomic_store_n(&mine.taken, mine.taken + 1, __ATOMIC_RELEASE);
                __atomic_store_n(&from.head, from.head + sizeof size + size, __ATOMIC_RELEASE);
                __atomic_store_n(&mine.taking_at, 0, __ATOMIC_RELEASE);
                break;
            }
            if (from.closed != 0) return answer::closed;
        }
        if (!in_time || deadline == time_point::min()) return answer::late;
        if (stop.stop_requested()) return answer::stopped;
        in_time = from.changed.wait(seen, deadline);
    }
    from.changed.bump();
    return answer::done;
}

ipc_bytes_queue::answer ipc_bytes_queue::join(time_point deadline, const std::stop_token& stop) const {
    ipc_ring& at = ring();
    for (;;) {
        const std::uint32_t seen = at.changed.now();
        {
            const robust_mutex::guard held = at.lock();
            if (at.head == at.tail && at.taken() == 0) return answer::done;
            at.look_for_the_dead();
        }
        const time_point now = std::chrono::steady_clock::now();
        if (now >= deadline) return answer::late;
        if (stop.stop_requested()) return answer::stopped;
        at.changed.wait(seen, std::min(deadline, now + between_looks));
    }
}

void ipc_bytes_queue::task_done() const {
    ipc_ring& at = ring();
    {
        const robust_mutex::guard held = at.lock();
        ipc_ring::holder* const mine = at.own(false);
        if (mine == nullptr || mine->taken == 0)
            throw invalid_state_error("task_done of an ipc_queue: this process has no item of it");
        __atomic_store_n(&mine->taken, mine->taken - 1, __ATOMIC_RELEASE);
    }
    at.changed.bump();
}

void ipc_bytes_queue::close() const {
    {
        const robust_mutex::guard held = ring().lock();
        ring().closed = 1;
    }
    nudge();
}

bool ipc_bytes_queue::closed() const {
    const robust_mutex::guard held = ring().lock();
    return ring().closed != 0;
}

std::size_t ipc_bytes_queue::size() const {
    const robust_mutex::guard held = ring().lock();
    return ring().waiting();
}

std::size_t ipc_bytes_queue::unfinished() const {
    const robust_mutex::guard held = ring().lock();
    return ring().waiting() + ring().taken();
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
