// SPDX-License-Identifier: MIT
// Texts of errors, and anchors of their vtables. With the destructors here, the type of an
// exception is one object in the shared library, and `catch` in the program matches it.
#include <rondo/error.hpp>

#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "base/duration_text.hpp"

namespace rondo {
inline namespace v0 {

error::~error() = default;
invalid_state_error::~invalid_state_error() = default;
future_cancelled::~future_cancelled() = default;
group_error::~group_error() = default;
limit_error::~limit_error() = default;
incomplete_read_error::~incomplete_read_error() = default;
no_running_loop_error::~no_running_loop_error() = default;
deadlock_error::~deadlock_error() = default;
closed_error::~closed_error() = default;
queue_closed_error::queue_closed_error() : closed_error("the queue is closed") {}
queue_closed_error::~queue_closed_error() = default;
broken_pool_error::~broken_pool_error() = default;
broken_barrier_error::~broken_barrier_error() = default;
timeout_error::~timeout_error() = default;

future_cancelled::future_cancelled() : error("the awaited future was cancelled") {}

broken_barrier_error::broken_barrier_error() : error("the barrier is broken, or was reset") {}

no_running_loop_error::no_running_loop_error() : error("no loop is running on this thread") {}

namespace {

std::string ended_early(std::size_t came, std::size_t expected) {
    std::string text = "the stream ended after " + std::to_string(came);
    if (expected == 0) return text + " bytes, before the separator";
    return text + " of " + std::to_string(expected) + " bytes";
}

}  // namespace

std::string detail::text_of(duration span) {
    struct unit { duration::rep size; const char* name; };
    constexpr unit units[] = {{1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "us"}};
    const duration::rep ticks = span.count();
    for (const unit& each : units) {
        if (ticks < each.size) continue;
        std::string text = std::to_string(ticks / each.size);
        const duration::rep thousandths = ticks % each.size / (each.size / 1000);
        if (thousandths != 0) {
            text += '.' + std::to_string(1000 + thousandths).substr(1);
            text.erase(text.find_last_not_of('0') + 1);
        }
        return text + each.name;
    }
    return std::to_string(ticks) + "ns";
}

namespace {

using detail::text_of;

std::string text_of(const char* what, const std::vector<std::exception_ptr>& errors) {
    const std::size_t size = errors.size();
    const std::string count = std::to_string(size) + (size == 1 ? " error" : " errors");
    return count + " in " + what + "; the first: " + detail::what_of(errors.front());
}

std::atomic<int> signal_of_last_run = 0;

}  // namespace

std::string detail::what_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (const cancelled&) {
        return "cancelled";
    } catch (...) {
        return "an exception that is not a std::exception";
    }
}

group_error::group_error(const char* what, std::vector<std::exception_ptr> errors)
    : error(text_of(what, errors)),
      errors_(std::make_shared<const std::vector<std::exception_ptr>>(std::move(errors))) {}

incomplete_read_error::incomplete_read_error(std::string bytes, std::size_t expected)
    : error(ended_early(bytes.size(), expected)),
      bytes_(std::make_shared<const std::string>(std::move(bytes))),
      expected_(expected) {}

timeout_error::timeout_error() : timeout_error(std::string("timed out")) {}

timeout_error::timeout_error(detail::time_limit after)
    : timeout_error("timed out after " + text_of(after)) {}

timeout_error::timeout_error(std::string_view subject, detail::time_limit after)
    : timeout_error(std::string(subject) + ": timed out after " + text_of(after)) {}

timeout_error::timeout_error(const std::string& text)
    : std::system_error(std::make_error_code(std::errc::timed_out)), text_(text) {}

interrupted::operator int() const noexcept {
    const int signal = signal_of_last_run.load(std::memory_order_relaxed);
    return signal != 0 ? 128 + signal : 0;
}

namespace detail {

void set_interrupted(int signal) noexcept {
    signal_of_last_run.store(signal, std::memory_order_relaxed);
}

void throw_system_error(int error, const char* verb, std::string_view object) {
    std::string subject = verb;
    if (!object.empty()) subject.append(" ").append(object);
    throw std::system_error(error, std::system_category(), subject);
}

void throw_system_error(std::error_code code) { throw std::system_error(code); }

void throw_empty_outcome() {
    throw invalid_state_error("the outcome has no value yet");
}

void destroy(std::exception_ptr& exception) noexcept { std::destroy_at(&exception); }

void fail(const char* sentence) noexcept {
    // One writev, so that the line is not interleaved with output of other threads and processes.
    // const_cast, since iovec is for reading too.
    const char* parts[] = {"rondo: ", sentence, "\n"};
    iovec line[3];
    for (int i = 0; i < 3; ++i) line[i] = {const_cast<char*>(parts[i]), std::strlen(parts[i])};
    [[maybe_unused]] auto written = ::writev(STDERR_FILENO, line, 3);
    std::abort();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
