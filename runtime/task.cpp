// SPDX-License-Identifier: MIT
// Launching a task, and telling a cancellation from an error.
#include <rondo/task.hpp>

#include <cstring>
#include <typeinfo>
#include <utility>

#include "report.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void already_ready(leaf_wait&) noexcept {}  // it is in the ready queue and looks for itself when it begins

constexpr wait_kind to_begin{"its first turn", already_ready, nullptr};
}  // namespace

constinit leaf_wait not_begun(to_begin);

char* copy_name(const char* name, std::size_t size) {
    if (size == 0) return nullptr;
    auto* copy = static_cast<char*>(::operator new(size + 1));
    std::memcpy(copy, name, size);
    copy[size] = '\0';
    return copy;
}

bool is_cancellation(const std::exception_ptr& error) noexcept {
    const std::type_info* type = error.__cxa_exception_type();
    return type != nullptr && *type == typeid(cancelled);
}

void promise_base::fail(std::exception_ptr why) noexcept {
    marks |= failed | (is_cancellation(why) ? was_cancelled : 0u);
    error = std::move(why);
}

void promise_base::end_root() noexcept {
    if ((marks & (failed | seen | was_cancelled)) == failed) report_unseen(record, error);
    ::operator delete(record.name);
}

// Moved out first: the exception must not live on in a frame that may be held for long.
void promise_base::throw_error() {
    if (!error) throw future_cancelled("the task was cancelled before it began");
    marks |= seen;
    std::rethrow_exception(std::exchange(error, nullptr));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
