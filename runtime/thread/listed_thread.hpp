// SPDX-License-Identifier: MIT
// An entry in the list of rondo's threads; it has the thread's name. Implemented in threads.cpp.
//
// The list has one mutex, which also guards the names. It is taken last: its holder takes no other.
// The list is never destroyed, because a lookup may outlive main.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/threads.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct thread_list;

class listed_thread {
public:
    /// Adds a thread to the list, which may not run yet. If there is no memory for the list, the
    /// thread is not in it.
    listed_thread(thread_kind kind, std::string name) noexcept;
    /// Its name is `prefix-number`. The system's 15 bytes have all of the number.
    listed_thread(thread_kind kind, std::string_view prefix, std::uint64_t number) noexcept;
    ~listed_thread() { end(); }
    listed_thread(const listed_thread&) = delete;
    listed_thread& operator=(const listed_thread&) = delete;

    /// The calling thread is this one: gives it its name.
    void begin() noexcept;
    /// Leaves the list. On that thread, or if it never began. May be called again.
    void end() noexcept;

    // -- any thread -------------------------------------------------------------------------------
    std::string name() const;
    void set_name(std::string name) noexcept;
    /// 0 before `begin` and after `end`.
    int native_id() const noexcept;

    /// The entry of the calling thread; null if rondo has not started it.
    static listed_thread*& of_this_thread() noexcept;

private:
    friend thread_list;
    friend std::vector<thread_info> rondo::threads();

    void join_list() noexcept;
    std::unique_lock<std::mutex> guard() const noexcept;

    const thread_kind kind_;
    std::string name_;
    std::size_t number_bytes_ = 0;  // at the end of the name
    int native_id_ = 0;
    pthread_t handle_{};            // if native_id_ is not 0
    thread_list* list_ = nullptr;

public:
    list_links<listed_thread> links;
};

/// Puts the calling thread on the list while this object lives.
class listed_here : public listed_thread {
public:
    template <class... Args>
    explicit listed_here(Args&&... args) noexcept : listed_thread(std::forward<Args>(args)...) {
        begin();
    }
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
