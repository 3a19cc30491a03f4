// SPDX-License-Identifier: MIT
// A queue between processes, with a join that waits until all items are done. Any number of
// producers and consumers, in any process that has the queue. It is one shared_memory, so one
// descriptor hands it on:
//
//     rondo::ipc_queue<std::string> jobs(1 << 20);                                  // bytes
//     rondo::ipc_queue<std::string> few({.items = 10});
//     rondo::command("/proc/self/exe", std::to_string(jobs.number())).keep(jobs.number()).spawn();
//     auto jobs = rondo::ipc_queue<std::string>::adopt(std::atoi(argv[1]));         // in the child
//
// It is a circular buffer of bytes under a robust_mutex. Each step is committed by one store, so a
// process that is killed during a step leaves the queue as before or as after it. The queue counts
// the items that each process has taken and not done. When a consumer dies with such items, they
// are lost, and `join` throws lost_items_error instead of waiting forever. Items that no process
// has taken stay in the queue, and `join` waits for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/serialize.hpp>
#include <rondo/shared_memory.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// A process died with items that it had taken and not done. They are lost; the queue goes on.
class RONDO_API lost_items_error : public error {
public:
    lost_items_error(int pid, std::size_t items);
    ~lost_items_error() override;
    /// The process that died.
    int pid() const noexcept { return pid_; }
    /// The number of lost items.
    std::size_t items() const noexcept { return items_; }

private:
    int pid_;
    std::size_t items_;
};

/// Bounds of an ipc_queue.
struct ipc_queue_options {
    /// Bytes of all items in the queue; each takes its serialized size and 4 bytes.
    std::size_t bytes = 1024 * 1024;
    std::size_t items = 0;  ///< items in the queue; 0: as many as the bytes allow
};
static_assert(std::is_trivially_destructible_v<ipc_queue_options>);

namespace detail {

struct ipc_queue_header;

/// The untyped queue: items are bytes.
class RONDO_API ipc_bytes_queue {
public:
    explicit ipc_bytes_queue(ipc_queue_options options);
    explicit ipc_bytes_queue(descriptor made_elsewhere);

    // False if the queue is closed (put, next), or the time is over (join).
    task<bool> put(std::string bytes) const;
    task<bool> next(std::string& into) const;
    task<> join() const;
    bool blocking_put(std::string_view bytes) const;
    bool blocking_next(std::string& into) const;
    bool blocking_join_for(detail::time_limit timeout) const;
    // False if there is no room, or no item.
    bool try_put(std::string_view bytes) const;
    bool try_get(std::string& into) const;
    void task_done() const;
    void close() const;
    std::size_t size() const;
    std::size_t unfinished() const;
    bool empty() const;
    bool full() const;
    bool closed() const;
    int number() const noexcept { return memory_.number(); }

private:
    enum class outcome { done, closed, wait };
    outcome attempt_put(std::string_view bytes) const;
    outcome attempt_next(std::string& into) const;
    bool try_join(time_point& next_check) const;

    shared_memory memory_;
    std::uint64_t capacity_ = 0;
    ipc_queue_header* header_ = nullptr;
};

[[noreturn]] RONDO_API void throw_queue_closed();

}  // namespace detail

/// A bounded queue of values in shared memory. Move-only. Items are counted per process, whichever
/// thread of it takes them or calls task_done.
/// Thread: any, of any process; tasks of any loop.
/// See:    multiprocessing.JoinableQueue.
template <serializable T>
class ipc_queue {
public:
    /// Makes a queue whose items may have `capacity` bytes in total. Each item takes its serialized
    /// size and 4 bytes.
    /// Throws: std::system_error; limit_error if `capacity` is larger than the address space.
    explicit ipc_queue(std::size_t capacity) : queue_({.bytes = capacity, .items = 0}) {}
    /// Makes a queue with a bound in items, too: `ipc_queue<int> q({.items = 10})`.
    /// Throws: as above; limit_error if `items` is a negative number.
    explicit ipc_queue(ipc_queue_options options) : queue_(options) {}
    /// Takes over a queue that another process made, as an inherited or received descriptor.
    /// Throws: as shared_memory::adopt; error if the memory holds something else, or a queue of
    ///         another version of rondo.
    static ipc_queue adopt(descriptor made_elsewhere) {
        return ipc_queue(std::move(made_elsewhere));
    }
    static ipc_queue adopt(int number) { return ipc_queue(descriptor::adopt(number, "ipc queue")); }

    // -- for tasks --------------------------------------------------------------------------------
    /// Stores the item; waits while there is no room.
    /// Throws: queue_closed_error; limit_error for an item larger than the queue; error if another
    ///         process has overwritten the queue's memory.
    /// Cancel: stores nothing.
    task<> put(T item) {
        const bool stored = co_await queue_.put(serialize(item));
        if (!stored) detail::throw_queue_closed();
    }
    /// Takes the next item; waits while the queue is empty. Call task_done when the item is done.
    /// Returns: empty when the queue is closed and drained.
    /// Throws:  format_error if the item is not a T (it counts as done); limit_error if 256 other
    ///          processes hold items that are not done; error as for put.
    /// Cancel:  takes nothing.
    task<std::optional<T>> next() {
        std::string bytes;
        const bool taken = co_await queue_.next(bytes);
        if (!taken) co_return std::nullopt;
        co_return value_of(bytes);
    }
    /// Waits until every item that was put is done.
    /// Throws: lost_items_error if a process died with items that were not done. For each such
    ///         process, one of the waiting joins throws, once.
    /// Cancel: leaves at once.
    task<> join() { return queue_.join(); }

    // -- for plain threads, never in a task: these block the thread -------------------------------
    void blocking_put(const T& item) {
        if (!queue_.blocking_put(serialize(item))) detail::throw_queue_closed();
    }
    std::optional<T> blocking_next() {
        std::string bytes;
        if (!queue_.blocking_next(bytes)) return std::nullopt;
        return value_of(bytes);
    }
    void blocking_join() { queue_.blocking_join_for(duration::max()); }
    /// Returns: false if `timeout` is over first.
    bool blocking_join_for(detail::time_limit timeout) { return queue_.blocking_join_for(timeout); }

    // -- for both ---------------------------------------------------------------------------------
    /// Stores the item without waiting.
    /// Returns: false if there is no room for it now.
    /// Throws:  as put.
    [[nodiscard]] bool try_put(const T& item) { return queue_.try_put(serialize(item)); }
    /// Takes the next item without waiting.
    /// Returns: empty if there is none now; closed() tells whether there may be more.
    /// Throws:  as next.
    [[nodiscard]] std::optional<T> try_get() {
        std::string bytes;
        if (!queue_.try_get(bytes)) return std::nullopt;
        return value_of(bytes);
    }
    /// Marks one item that this process has taken as done.
    /// Throws: invalid_state_error if this process has no item that is not done.
    void task_done() { queue_.task_done(); }
    /// Closes the queue in all processes: put throws queue_closed_error, next gives the remaining
    /// items and then an empty optional.
    void close() { queue_.close(); }
    bool closed() const { return queue_.closed(); }
    /// True if there is no item in the queue. Another process may change that at once.
    bool empty() const { return queue_.empty(); }
    /// True if the bound in items is reached, or no item has room.
    bool full() const { return queue_.full(); }
    /// The number of items in the queue.
    std::size_t size() const { return queue_.size(); }
    /// The number of items in the queue, plus those that were taken and are not done.
    std::size_t unfinished() const { return queue_.unfinished(); }
    /// The descriptor's number, for `command::keep` or to be sent through an ipc_channel.
    int number() const noexcept { return queue_.number(); }

private:
    explicit ipc_queue(descriptor made_elsewhere) : queue_(std::move(made_elsewhere)) {}

    T value_of(const std::string& bytes) {
        try {
            return deserialize<T>(bytes);
        } catch (...) {
            queue_.task_done();
            throw;
        }
    }

    detail::ipc_bytes_queue queue_;
};

}  // namespace v0
}  // namespace rondo
