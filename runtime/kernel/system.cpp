// SPDX-License-Identifier: MIT
// The real system: what objects made outside any loop use.
#include "kernel/system.hpp"

#include <pthread.h>
#include <signal.h>

#include <cstdint>
#include <memory>

namespace rondo {
inline namespace v0 {
namespace detail {
namespace {

/// close(2) waits until the peer has acknowledged everything, or for the time of the option.
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

/// A detached thread that takes no signals. Nobody waits for it: if the process ends meanwhile, the
/// kernel does the rest.
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
    if (lingers(fd) && close_on_thread(fd)) return 0;
    return or_errno(::close(fd));
}

std::shared_ptr<system> system::real() {
    static const auto instance = std::make_shared<real_system>();
    return instance;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
