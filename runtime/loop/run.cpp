// SPDX-License-Identifier: MIT
// SIGINT and SIGTERM for `run`. The handler makes two calls that are safe in a handler: it sets a
// flag and writes an eventfd. It is installed with SA_RESETHAND, so that the second signal finds
// the default disposition and kills the process.
#include <rondo/run.hpp>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <optional>

#include "base/identity.hpp"
#include "loop/loop_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

std::atomic<kernel*> to_wake{nullptr};
std::optional<birth_process> handling;  // the process of `to_wake`; a forked child inherits both
std::atomic<int> received{0};           // the signal that arrived; 0: none

void on_signal(int number) {
    if (received.exchange(number) != 0) {  // a second signal, of the other kind
        ::signal(number, SIG_DFL);
        ::raise(number);
        return;
    }
    if (kernel* k = to_wake.load()) k->wake();
}

bool install(int number) {
    struct sigaction now {};
    if (::sigaction(number, nullptr, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0 ||
        now.sa_handler != SIG_DFL)
        return false;
    struct sigaction ours {};
    ours.sa_handler = on_signal;
    ours.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    return ::sigaction(number, &ours, nullptr) == 0;
}

void uninstall(int number) {
    struct sigaction now {};
    if (::sigaction(number, nullptr, &now) != 0 || now.sa_handler != on_signal) return;
    now.sa_handler = SIG_DFL;
    now.sa_flags = 0;
    ::sigaction(number, &now, nullptr);
}

/// In a forked child: resets the handlers that the parent's run has installed.
void forget_run_of_parent() noexcept {
    if (!handling || handling->is_current()) return;
    to_wake.store(nullptr);
    uninstall(SIGINT);
    uninstall(SIGTERM);
}

}  // namespace

main_run::main_run(const run_options& options) : loop_(options.loop) {
    loop_.core().check_usable();
    set_interrupted(0);
    if (::getpid() != ::gettid()) return;  // only a main thread uses `handling`
    forget_run_of_parent();
    if (to_wake.load() != nullptr) return;
    handling.emplace();
    received.store(0);
    to_wake.store(loop_.core().kernel.get());
    if (options.handle_sigint && install(SIGINT)) handled_[0] = SIGINT;
    if (options.handle_sigterm && install(SIGTERM)) handled_[1] = SIGTERM;
    if (!handles()) to_wake.store(nullptr);
}

main_run::~main_run() {
    if (!handles()) return;
    for (const int number : handled_)
        if (number != 0) uninstall(number);
    to_wake.store(nullptr);
}

void main_run::until_end(task_handle main) {
    if (handles())
        loop_.core().on_turn = [this, main]() mutable {
            const int signal = received.load();
            if (interrupted_ || signal == 0) return;
            interrupted_ = true;
            set_interrupted(signal);
            main.cancel();
        };
    loop_.core().run_until_done(main);
    loop_.close();
    loop_.core().on_turn.reset();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
