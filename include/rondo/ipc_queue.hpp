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
// consumer dies with some, they are lost, and `join` says so instead of waiting for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/executor.hpp>
#include <rondo/serialize.hpp>
#include <rondo/shared_memory.hpp>
#include <rondo/shared_sync.hpp>

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

    enum class answer { done, closed, stopped, late };
    answer put(std::string_view bytes, time_point deadline, const std::stop_token& stop) const;
    answer next(std::string& into, time_point deadline, const std::stop_token& stop) const;
    answer join(time_point deadline, const std::stop_token& stop) const;
    void task_done() const;
    void close() const;
    std::size_t size() const;
    std::size_t unfinished() const;
    bool closed() const;
    int number() const noexcept { return memory_.number(); }

    /// Wakes those who wait, so that they look at their stop tokens.
    void nudge() const noexcept;

private:
    ipc_ring& ring() const;
    shared_memory memory_;
};

[[noreturn]] RONDO_API void throw_queue_closed();

/// `call(stop)` on a thread; a cancellation stops it.
template <class Call>
task<ipc_bytes_queue::answer> wait_at(const ipc_bytes_queue& queue, Call call) {
    const auto answer = co_await to_thread([&](const std::stop_token& stop) {
        const std::stop_callback told(stop, [&] { queue.nudge(); });
        return call(stop);
    });
    if (answer == ipc_bytes_queue::answer::stopped) throw cancelled();
    co_return answer;
}

}  // namespace detail

/// Thread: any of any process; tasks wait on a thread of their loop's pool. A process takes part with all its threads as
/// one. See: multiprocessing.JoinableQueue.
template <serializable T>
class ipc_queue {
    using answer = detail::ipc_bytes_queue::answer;

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
    /// Throws: queue_closed_error; limit_error for an item larger than the queue; not_recoverable_error.
    /// Cancel: stores nothing, or has stored it: then it returns, and the next wait throws.
    task<> put(T item) {
        const std::string bytes = serialize(item);
        auto stored = queue_.put(bytes, time_point::min(), {});
        if (stored == answer::late)
            stored = co_await detail::wait_at(queue_, [&](const std::stop_token& stop) {
                return queue_.put(bytes, time_point::max(), stop);
            });
        if (stored == answer::closed) detail::throw_queue_closed();
    }
    /// Takes the next item; waits while there is none. Empty once the queue is closed and drained. Say task_done when the
    /// item is worked off.
    /// Throws: format_error where it is no T.
    /// Cancel: takes nothing, or gives what it has taken, and the next wait throws.
    task<std::optional<T>> next() {
        std::string bytes;
        auto taken = queue_.next(bytes, time_point::min(), {});
        if (taken == answer::late)
            taken = co_await detail::wait_at(queue_, [&](const std::stop_token& stop) {
                return queue_.next(bytes, time_point::max(), stop);
            });
        if (taken == answer::closed) co_return std::nullopt;
        co_return deserialize<T>(bytes);
    }
    /// Waits until every item that was put is done.
    /// Throws: lost_items_error where a process has died with some, once for each such process.
    /// Cancel: leaves.
    task<> join() {
        co_await detail::wait_at(queue_, [&](const std::stop_token& stop) {
            return queue_.join(time_point::max(), stop);
        });
    }

    // -- plain threads: never from a task -------------------------------------------------------------------------------
    void blocking_put(const T& item) {
        if (queue_.put(serialize(item), time_point::max(), {}) == answer::closed)
            detail::throw_queue_closed();
    }
    std::optional<T> blocking_next() {
        std::string bytes;
        if (queue_.next(bytes, time_point::max(), {}) == answer::closed) return std::nullopt;
        return deserialize<T>(bytes);
    }
    void blocking_join() { queue_.join(time_point::max(), {}); }
    /// False where `timeout` is over first.
    bool blocking_join_for(duration timeout);

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
    detail::ipc_bytes_queue queue_;
};

template <serializable T>
bool ipc_queue<T>::blocking_join_for(duration timeout) {
    return queue_.join(detail::blocking_deadline(timeout), {}) == answer::done;
}

}  // namespace v0
}  // namespace rondo
