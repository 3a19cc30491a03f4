// SPDX-License-Identifier: MIT
// Numbers of processes and threads. A page with MADV_WIPEONFORK is zero in every child, however it
// was forked: see madvise(2). pthread_atfork is not used, since clone() and _Fork() bypass it.
#include "base/identity.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <system_error>

namespace rondo {
inline namespace v0 {
namespace detail {
namespace {

using process_word = std::atomic<std::uint32_t>;

process_word* make_process_word() {
    const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::system_error(errno, std::system_category(), "mmap");
    if (::madvise(page, size, MADV_WIPEONFORK) != 0) {
        const int error = errno;
        ::munmap(page, size);
        throw std::system_error(error, std::system_category(), "madvise");
    }
    return new (page) process_word(0);
}

/// Returns: this process's number, which it gets on first use.
std::uint32_t number_process(process_word& word) noexcept {
    static process_word processes{0};  // not wiped: a child continues its parent's count
    std::uint32_t number = word.load(std::memory_order_relaxed);
    if (number != 0) return number;
    const std::uint32_t fresh = processes.fetch_add(1, std::memory_order_relaxed) + 1;
    return word.compare_exchange_strong(number, fresh, std::memory_order_relaxed) ? fresh : number;
}

}  // namespace

birth_process::birth_process() {
    static process_word* const word = make_process_word();  // stays mapped until the process ends
    word_ = word;
    number_ = number_process(*word);
}

std::uint64_t this_thread_number() noexcept {
    static std::atomic<std::uint64_t> threads{0};
    constinit static thread_local std::uint64_t number = 0;
    if (number == 0) number = threads.fetch_add(1, std::memory_order_relaxed) + 1;
    return number;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
