// SPDX-License-Identifier: MIT
// See watched_numbers.hpp.
#include "kernel/watched_numbers.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "base/identity.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// The numbers of one process. Never freed: other threads may be about to use them.
struct of_one_process {
    birth_process process;
    watched_numbers numbers;
    of_one_process* parent = nullptr;  // so that leak checkers find it in a forked child
};

std::atomic<of_one_process*> present{nullptr};

of_one_process* current() noexcept {
    of_one_process* const all = present.load(std::memory_order_acquire);
    return all != nullptr && all->process.is_current() ? all : nullptr;
}

}  // namespace

/// In a forked child, sets and locks belong to the parent: a number that is closed there must not
/// leave the parent's set. So what the parent made is left alone, and is not freed.
watched_numbers& watched_numbers::of_process() {
    for (;;) {
        if (of_one_process* const all = current()) return all->numbers;
        of_one_process* before = present.load(std::memory_order_acquire);
        if (before != nullptr && before->process.is_current()) continue;
        auto* const fresh = new of_one_process;
        fresh->parent = before;
        if (present.compare_exchange_strong(before, fresh, std::memory_order_acq_rel))
            return fresh->numbers;
        delete fresh;
    }
}

void watched_numbers::closing(int fd) noexcept {
    of_one_process* const all = current();
    if (all == nullptr || fd < 0) return;
    watched_numbers& numbers = all->numbers;
    const std::size_t at = static_cast<std::size_t>(fd) / page_size;
    if (at >= pages_max) return;
    page* const there = numbers.pages_[at].load(std::memory_order_acquire);
    if (there == nullptr) return;
    number& one = (*there)[static_cast<std::size_t>(fd) % page_size];
    one.closes.fetch_add(1, std::memory_order_release);
    if (one.epoll.load(std::memory_order_acquire) < 0 && one.twin.load() < 0) return;
    const std::lock_guard lock(numbers.lock_of(fd));
    remove(one, fd);
    const int twin = one.twin.exchange(-1);
    if (twin >= 0) ::close(twin);
}

watched_numbers::number* watched_numbers::find(int fd) noexcept {
    const std::size_t at = static_cast<std::size_t>(fd) / page_size;
    page* const there = pages_[at].load(std::memory_order_acquire);
    return there != nullptr ? &(*there)[static_cast<std::size_t>(fd) % page_size] : nullptr;
}

int watched_numbers::closes(int fd, std::uint32_t& count) noexcept {
    const std::size_t at = static_cast<std::size_t>(fd) / page_size;
    if (at >= pages_max) return -EMFILE;
    if (pages_[at].load(std::memory_order_acquire) == nullptr) [[unlikely]] {
        const std::lock_guard lock(growing_);
        if (pages_[at].load(std::memory_order_relaxed) == nullptr) {
            auto* const fresh = new (std::nothrow) page;
            if (fresh == nullptr) return -ENOMEM;
            pages_[at].store(fresh, std::memory_order_release);
        }
    }
    count = find(fd)->closes.load(std::memory_order_acquire);
    return 0;
}

/// Called with the lock held.
void watched_numbers::remove(number& of, int fd) noexcept {
    const int epoll = of.epoll.exchange(-1, std::memory_order_acq_rel);
    if (epoll < 0) return;
    const int twin = of.twin.load();
    ::epoll_ctl(epoll, EPOLL_CTL_DEL, twin >= 0 ? twin : fd, nullptr);
}

/// A file may be in the set already under this number: it was closed behind rondo's back, and has
/// come back by way of a duplicate.
int watched_numbers::watch(int epoll, int fd, std::uint32_t events, std::uint64_t word) noexcept {
    number& one = *find(fd);
    const std::lock_guard lock(lock_of(fd));
    const int twin = one.twin.load();
    const int watched = twin >= 0 ? twin : fd;
    const bool here = one.epoll.load() == epoll;
    if (!here) remove(one, fd);
    epoll_event event{};
    event.events = events;
    event.data.u64 = word;
    int result = ::epoll_ctl(epoll, here ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watched, &event);
    if (result != 0 && errno == (here ? ENOENT : EEXIST))
        result = ::epoll_ctl(epoll, here ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, watched, &event);
    if (result != 0) return -errno;
    one.epoll.store(epoll, std::memory_order_release);
    return 0;
}

void watched_numbers::unwatch(int epoll, int fd) noexcept {
    number& one = *find(fd);
    const std::lock_guard lock(lock_of(fd));
    if (one.epoll.load() == epoll) remove(one, fd);
}

bool watched_numbers::is_in(int epoll, int fd) noexcept {
    return find(fd)->epoll.load(std::memory_order_acquire) == epoll;
}

void watched_numbers::set_twin(int fd, int twin) noexcept {
    number& one = *find(fd);
    const std::lock_guard lock(lock_of(fd));
    remove(one, fd);  // while its twin can still be found
    const int before = one.twin.exchange(twin);
    if (before >= 0) ::close(before);
}

int watched_numbers::twin_of(int fd) noexcept {
    return find(fd)->twin.load(std::memory_order_acquire);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
