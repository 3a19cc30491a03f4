// SPDX-License-Identifier: MIT
// Launching a task, and telling a cancellation from an error.
#include <rondo/task.hpp>

#include <cstring>
#include <string>
#include <typeinfo>
#include <utility>

#include "report.hpp"
#include "trampoline.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void already_ready(leaf_wait&) noexcept {}  // it is in the ready queue and looks for itself when it begins

constexpr wait_kind to_begin{"its first turn", already_ready, nullptr};
}  // namespace

constinit leaf_wait not_begun(to_begin);

task_name* make_name(const char* file, const char* name, std::size_t size) {
    auto* made = static_cast<task_name*>(::operator new(sizeof(task_name) + size));
    made->file = file;
    std::memcpy(made->text, name, size);
    made->text[size] = '\0';
    return made;
}

bool is_cancellation(const std::exception_ptr& error) noexcept {
    const std::type_info* type = error.__cxa_exception_type();
    return type != nullptr && *type == typeid(cancelled);
}

// An error of a destructor after co_return wins over the value, which its caller has destroyed.
void promise_base::fail(std::exception_ptr why) noexcept {
    marks &= ~std::uint32_t(valued);
    marks |= failed | (is_cancellation(why) ? was_cancelled : 0u);
    ::new (static_cast<void*>(&record.error)) std::exception_ptr(std::move(why));
}

void promise_base::end() noexcept {
    if ((marks & (root | failed | seen | was_cancelled)) == (root | failed))
        report_unseen(record, record.error);
    if ((marks & named) != 0) ::operator delete(const_cast<void*>(record.origin));
    if ((marks & failed) != 0) std::destroy_at(&record.error);
}

// The error moves out meanwhile: a destructor may cancel this very task, and the request looks for a wait where the
// error stands.
void promise_base::end_failed_coroutine() noexcept {
    std::exception_ptr error = std::exchange(record.error, nullptr);
    marks &= ~std::uint32_t(failed);
    end_coroutine();
    marks |= failed;
    record.error = std::move(error);
}

void promise_base::drop_outcome() noexcept {
    if (left().drop_value != nullptr) left().drop_value(*this);
    if ((marks & (failed | named)) != 0) end();
}

namespace {

std::string place(const location& where) {
    std::string text = std::string(where.file) + ':' + std::to_string(where.line);
    if (*where.function != '\0') text += std::string(" in ") + where.function;
    return text;
}

}  // namespace

void fail_without_task(location where) noexcept {
    const std::string sentence =
        "awaiting a task that was moved from or awaited before, at " + place(where);
    fail(sentence.c_str());
}

std::exception_ptr without_value(promise_base& frame) noexcept {
    const bool root = (frame.marks & shared_core::root) != 0;
    const location where =
        root ? location{file_of(frame.record), "", frame.record.line} : frame.awaiter->where;
    try {
        throw invalid_state_error(
            "a task that gives a value ended without co_return; it was " +
            std::string(root ? "created" : "awaited") + " at " + place(where));
    } catch (...) {
        return std::current_exception();
    }
}

// Moved out first: the exception must not live on in a frame that may be held for long.
void promise_base::throw_error() {
    if ((marks & (failed | was_cancelled)) == was_cancelled)
        throw future_cancelled("the task was cancelled before it began");
    if ((marks & failed) == 0) std::rethrow_exception(without_value(*this));
    marks |= seen;
    std::rethrow_exception(std::exchange(record.error, nullptr));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
