// SPDX-License-Identifier: MIT
// The real system, used by objects that are made outside any loop.
#include "kernel/system.hpp"

#include <pthread.h>
#include <signal.h>

#include <cstdint>
#include <memory>

#include "kernel/watched_numbers.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {
namespace {

/// Whether close(2) blocks: until the peer has acknowledged all data, or for the time of SO_LINGER.
bool lingers(int fd) noexcept {
    linger how{};
    socklen_t size = sizeof how;
    return ::getsockopt(fd, SOL_SOCKET, SO_LINGER, &how, &size) == 0 && how.l_onoff != 0 &&
           how.l_linger > 0;
}

void* close_and_end(void* number) {
    ::close(static_cast<int>(reinterpret_cast<std::intptr_t>(number)));
    return nullptr;
}

/// Closes `fd` on a detached thread with all signals blocked. The thread is not joined: if the
/// process ends first, the kernel closes the descriptor.
bool close_on_thread(int fd) noexcept {
    sigset_t all, before;
    ::sigfillset(&all);
    if (::pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
    pthread_t thread;
    auto* const number = reinterpret_cast<void*>(static_cast<std::intptr_t>(fd));
    const bool started = ::pthread_create(&thread, nullptr, close_and_end, number) == 0;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (started) ::pthread_detach(thread);
    return started;
}

class real_system final : public plain_calls<system> {};

}  // namespace

int close_number(int fd) noexcept {
    watched_numbers::closing(fd);
    if (lingers(fd) && close_on_thread(fd)) return 0;
    return or_errno(::close(fd));
}

std::shared_ptr<system> system::real() {
    static const auto instance = std::make_shared<real_system>();
    return instance;
}

int probe_listener(const sockaddr* address, socklen_t size) noexcept {
    const int probe = above_standard(
        ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (probe < 0) return -errno;
    const int result = or_errno(::connect(probe, address, size));
    close_number(probe);
    return result == -EAGAIN ? 0 : result;  // its backlog is full
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
