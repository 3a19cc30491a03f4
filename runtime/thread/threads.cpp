// SPDX-License-Identifier: MIT
// The list of rondo's threads, and their names.
#include <rondo/threads.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>

#include "base/identity.hpp"
#include "thread/listed_thread.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The list of one process.
struct thread_list {
    birth_process process;
    std::mutex mutex;
    intrusive_list<listed_thread, &listed_thread::links> all;
    thread_list* of_parent = nullptr;  // in a forked child: of threads that the child does not have

    /// The list of this process, made on first use. Null if there is no memory for it.
    static thread_list* current() noexcept;
};

thread_list* thread_list::current() noexcept {
    constinit static std::atomic<thread_list*> latest{nullptr};
    thread_list* known = latest.load(std::memory_order_acquire);
    if (known != nullptr && known->process.is_current()) return known;
    try {
        auto fresh = std::make_unique<thread_list>();
        fresh->of_parent = known;
        if (latest.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel))
            return fresh.release();
        return known;  // another thread was faster
    } catch (...) {
        return nullptr;
    }
}

namespace {

constexpr std::size_t shown_bytes = 15;  // TASK_COMM_LEN without the zero
using shown_name = std::array<char, shown_bytes + 1>;

/// The part of a name that the system keeps: its beginning, and the last `number_bytes`. Does not
/// cut a character of UTF-8 in two.
shown_name shown_part(const std::string& name, std::size_t number_bytes) noexcept {
    const std::size_t tail = std::min(number_bytes, shown_bytes);
    const std::size_t whole = name.size() - tail;
    std::size_t head = std::min(whole, shown_bytes - tail);
    const auto continues = [&](std::size_t at) { return (name[at] & 0xc0) == 0x80; };
    while (head != 0 && head < whole && continues(head)) --head;
    shown_name shown{};
    std::memcpy(shown.data(), name.data(), head);
    std::memcpy(shown.data() + head, name.data() + whole, tail);
    return shown;
}

}  // namespace

// -- an entry -------------------------------------------------------------------------------------

listed_thread::listed_thread(thread_kind kind, std::string name) noexcept
    : kind_(kind), name_(std::move(name)) {
    join_list();
}

listed_thread::listed_thread(thread_kind kind, std::string_view prefix,
                             std::uint64_t number) noexcept
    : kind_(kind) {
    std::string tail = '-' + std::to_string(number);
    number_bytes_ = tail.size();
    try {
        name_.reserve(prefix.size() + tail.size());
        name_ += prefix;
        name_ += tail;
    } catch (...) {  // no memory
        name_ = std::move(tail);
    }
    join_list();
}

void listed_thread::join_list() noexcept {
    list_ = thread_list::current();
    if (list_ == nullptr) return;
    const std::lock_guard lock(list_->mutex);
    list_->all.append(*this);
}

/// Holds the list's mutex, except in a forked child: there another thread may have held it at the
/// fork, and no other thread has this entry.
std::unique_lock<std::mutex> listed_thread::guard() const noexcept {
    if (list_ == nullptr || !list_->process.is_current()) return {};
    return std::unique_lock(list_->mutex);
}

void listed_thread::begin() noexcept {
    const auto lock = guard();
    native_id_ = ::gettid();
    handle_ = ::pthread_self();
    of_this_thread() = this;
    ::pthread_setname_np(handle_, shown_part(name_, number_bytes_).data());
}

void listed_thread::end() noexcept {
    const auto lock = guard();
    if (of_this_thread() == this) of_this_thread() = nullptr;
    native_id_ = 0;
    if (lock && links.linked()) list_->all.remove(*this);
}

std::string listed_thread::name() const {
    const auto lock = guard();
    return name_;
}

// The thread cannot end in between: `end` needs the mutex.
void listed_thread::set_name(std::string name) noexcept {
    const auto lock = guard();
    std::swap(name_, name);
    number_bytes_ = 0;
    if (native_id_ != 0) ::pthread_setname_np(handle_, shown_part(name_, 0).data());
}

int listed_thread::native_id() const noexcept {
    const auto lock = guard();
    return native_id_;
}

listed_thread*& listed_thread::of_this_thread() noexcept {
    constinit static thread_local listed_thread* entry = nullptr;
    return entry;
}

}  // namespace detail

// -- for users ------------------------------------------------------------------------------------

std::vector<thread_info> threads() {
    std::vector<thread_info> all;
    detail::thread_list* const list = detail::thread_list::current();
    if (list == nullptr) throw std::bad_alloc();
    const std::lock_guard lock(list->mutex);
    for (auto* each = list->all.first(); each != nullptr; each = list->all.next(*each))
        all.push_back({each->name_, each->native_id_, each->kind_});
    return all;
}

std::size_t thread_count() noexcept {
    detail::thread_list* const list = detail::thread_list::current();
    if (list == nullptr) return 0;
    const std::lock_guard lock(list->mutex);
    std::size_t count = 0;
    for (auto* each = list->all.first(); each != nullptr; each = list->all.next(*each)) ++count;
    return count;
}

std::string this_thread_name() {
    if (const auto* const entry = detail::listed_thread::of_this_thread()) return entry->name();
    detail::shown_name shown{};
    ::pthread_getname_np(::pthread_self(), shown.data(), shown.size());
    return shown.data();
}

void set_this_thread_name(std::string name) {
    if (auto* const entry = detail::listed_thread::of_this_thread())
        return entry->set_name(std::move(name));
    ::pthread_setname_np(::pthread_self(), detail::shown_part(name, 0).data());
}

}  // namespace v0
}  // namespace rondo
