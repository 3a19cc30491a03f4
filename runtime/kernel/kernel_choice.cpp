// SPDX-License-Identifier: MIT
// The choice of a kernel. A program that asks for one by name gets that one or an error. All others
// start anyway: on readiness, if the system denies io_uring or is too old for it. After the first
// denial the system is not asked again, with two exceptions: memory may be there the next time, and
// after a quiet loop, the next one that is not quiet has to tell the cause.
#include "kernel/kernel_choice.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include <rondo/probe.hpp>

#include "kernel/readiness/readiness.hpp"
#include "kernel/ring/ring.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr const char* choice_name = "RONDO_KERNEL";
constexpr const char* quiet_name = "RONDO_KERNEL_QUIET";

std::string_view variable(const char* name) noexcept {
    const char* const text = std::getenv(name);
    return text != nullptr ? text : "";
}

/// Writes one line, once in a process.
void tell_fallback(const uring_unavailable& why) {
    static std::atomic<bool> told{false};
    if (variable(quiet_name) == "1" || told.exchange(true)) return;
    std::string line = "rondo: io_uring is not available: ";
    line.append(why.cause()).append("; using epoll (").append(quiet_name);
    line.append("=1 hides this line)\n");
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::shared_ptr<kernel> make_ring_or_readiness(const kernel_request& request) {
    static std::atomic<bool> is_denied{false};
    if (is_denied.load(std::memory_order_relaxed)) return make_readiness(request.entries);
    try {
        return make_ring({request.entries, request.completions});
    } catch (const uring_unavailable& why) {
        const int error = why.code().value();
        if (!falls_back_on(error)) throw;
        auto instead = make_readiness(request.entries);
        is_denied = error != ENOMEM && !request.quiet;
        if (!request.quiet) tell_fallback(why);
        return instead;
    }
}

}  // namespace

bool falls_back_on(int error) noexcept {
    switch (error) {
        case EPERM:
        case EACCES:
        case ENOSYS:
        case ENOMEM:
        case EINVAL:
        case EOPNOTSUPP: return true;
        default: return false;  // too few descriptors: readiness would fail as well
    }
}

kernel_choice choice_of_environment() {
    const std::string_view text = variable(choice_name);
    if (text.empty() || text == "automatic") return kernel_choice::automatic;
    if (text == "ring") return kernel_choice::ring;
    if (text == "readiness") return kernel_choice::readiness;
    throw std::invalid_argument(std::string(choice_name) + "=" + std::string(text) +
                                ": rondo knows ring, readiness and automatic");
}

std::shared_ptr<kernel> make_kernel(const kernel_request& request) {
    kernel_choice choice = request.choice;
    if (choice == kernel_choice::automatic) choice = choice_of_environment();
    switch (choice) {
        case kernel_choice::ring: return make_ring({request.entries, request.completions});
        case kernel_choice::readiness: return make_readiness(request.entries);
        case kernel_choice::automatic: return make_ring_or_readiness(request);
    }
    throw std::invalid_argument("loop_options::kernel has no such value");
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
