// SPDX-License-Identifier: MIT
// SIGINT and SIGTERM for `run`. The handler does two things that a handler may do: it sets a flag and writes an eventfd.
// It is installed with SA_RESETHAND, so that the second signal finds the default disposition and kills.
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
std::optional<birth_process> handling;  // whose `to_wake` it is: a forked child has inherited it
std::atomic<int> asked_to_end{0};       // the signal that came

void on_signal(int number) {
    if (asked_to_end.exchange(number) != 0) {  // a second one, of the other kind
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

/// In a forked child: what the parent's run has set up is none of ours.
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
    if (::getpid() != ::gettid()) return;  // only a main thread touches `handling`
    forget_run_of_parent();
    if (to_wake.load() != nullptr) return;
    handling.emplace();
    asked_to_end.store(0);
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
            const int signal = asked_to_end.load();
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
