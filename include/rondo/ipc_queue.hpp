// SPDX-License-Identifier: MIT
// A queue between processes that one can wait for to be worked off: any number of producers and consumers, in any of the
// processes that have it. It is one piece of shared memory, and so one descriptor to hand on:
//
//     rondo::ipc_queue<std::string> jobs(1 << 20);                                  // bytes
//     rondo::command("/proc/self/exe", std::to_string(jobs.number())).keep(jobs.number()).spawn();
//     rondo::ipc_queue<std::string> jobs(std::atoi(argv[1]));                       // over there
//
// A ring of bytes under a robust_mutex; each step is committed by one store, so a process that is killed in the middle of
// one leaves the queue as it was before or after it. And it knows who has which number of items that are not done: when a
// consumer dies with some, they are lost, and `join` says so instead of waiting for ever. Items that nobody has taken stay,
// and are waited for as long as that takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/serialize.hpp>
#include <rondo/shared_memory.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// Items that a process had taken, and not done when it died. The queue goes on without them.
class RONDO_API lost_items_error : public error {
public:
    lost_items_error(int pid, std::size_t items);
    ~lost_items_error() override;
    int pid() const noexcept { return pid_; }
    std::size_t items() const noexcept { return items_; }

private:
    int pid_;
    std::size_t items_;
};

namespace detail {

struct ipc_ring;

/// The queue, of bytes.
class RONDO_API ipc_bytes_queue {
public:
    explicit ipc_bytes_queue(std::size_t capacity);
    explicit ipc_bytes_queue(descriptor made_elsewhere);

    // False where it is closed (put, next), or the time is over (join).
    task<bool> put(std::string bytes) const;
    task<bool> next(std::string& into) const;
    task<> join() const;
    bool blocking_put(std::string_view bytes) const;
    bool blocking_next(std::string& into) const;
    bool blocking_join_for(detail::time_limit timeout) const;
    void task_done() const;
    void close() const;
    std::size_t size() const;
    std::size_t unfinished() const;
    bool closed() const;
    int number() const noexcept { return memory_.number(); }

private:
    enum class answer { done, closed, wait };
    answer try_put(std::string_view bytes) const;
    answer try_next(std::string& into) const;
    bool try_join(time_point& next_look) const;

    shared_memory memory_;
    std::uint64_t capacity_ = 0;
    ipc_ring* ring_ = nullptr;
};

[[noreturn]] RONDO_API void throw_queue_closed();

}  // namespace detail

/// Thread: any of any process, tasks of any loop. A process takes part with all its threads as one.
/// See:    multiprocessing.JoinableQueue.
template <serializable T>
class ipc_queue {
public:
    /// A new one, for items of `capacity` bytes together, with 4 bytes each besides.
    /// Throws: std::system_error.
    explicit ipc_queue(std::size_t capacity) : queue_(capacity) {}
    /// The one that another process has made: takes over the descriptor that was inherited or received.
    /// Throws: as shared_memory::adopt; error where it is no such queue.
    static ipc_queue adopt(descriptor made_elsewhere) { return ipc_queue(std::move(made_elsewhere)); }
    static ipc_queue adopt(int number) { return ipc_queue(descriptor::adopt(number, "ipc queue")); }

    // -- tasks ----------------------------------------------------------------------------------------------------------
    /// Stores the item; waits while there is no room.
    /// Throws: queue_closed_error; limit_error for an item larger than the queue; error where somebody has written over
    ///         the queue's memory.
    /// Cancel: stores nothing.
    task<> put(T item) {
        const bool stored = co_await queue_.put(serialize(item));
        if (!stored) detail::throw_queue_closed();
    }
    /// Takes the next item; waits while there is none. Empty once the queue is closed and drained. Say task_done when the
    /// item is worked off.
    /// Throws: format_error where it is no T: such an item counts as done.
    /// Cancel: takes nothing.
    task<std::optional<T>> next() {
        std::string bytes;
        const bool taken = co_await queue_.next(bytes);
        if (!taken) co_return std::nullopt;
        co_return value_of(bytes);
    }
    /// Waits until every item that was put is done.
    /// Throws: lost_items_error where a process has died with some: at one who waits, once for each such process.
    /// Cancel: leaves.
    task<> join() { return queue_.join(); }

    // -- plain threads: never from a task -------------------------------------------------------------------------------
    void blocking_put(const T& item) {
        if (!queue_.blocking_put(serialize(item))) detail::throw_queue_closed();
    }
    std::optional<T> blocking_next() {
        std::string bytes;
        if (!queue_.blocking_next(bytes)) return std::nullopt;
        return value_of(bytes);
    }
    void blocking_join() { queue_.blocking_join_for(duration::max()); }
    /// False where `timeout` is over first.
    bool blocking_join_for(detail::time_limit timeout) { return queue_.blocking_join_for(timeout); }

    // -- both -----------------------------------------------------------------------------------------------------------
    /// An item that this process has taken is worked off.
    /// Throws: invalid_state_error where it has taken none that is not.
    void task_done() { queue_.task_done(); }
    /// Nothing more is put, by nobody; whoever takes gets what is left, then an empty optional.
    void close() { queue_.close(); }
    bool closed() const { return queue_.closed(); }
    /// Items that wait.
    std::size_t size() const { return queue_.size(); }
    /// Items that wait, and those that were taken and are not done.
    std::size_t unfinished() const { return queue_.unfinished(); }
    /// For `command::keep`, or to be sent.
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
