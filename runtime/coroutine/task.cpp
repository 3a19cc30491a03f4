// SPDX-License-Identifier: MIT
// The rarer paths of a task: its name, its error, and the awaits that an error passed through.
#include <rondo/task.hpp>

#include <cxxabi.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <typeinfo>
#include <utility>

#include "coroutine/report.hpp"
#include "coroutine/trampoline.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

// The task is in the ready queue already; when its turn comes it finds that it is cancelled.
void cancel_unstarted(leaf_wait&) noexcept {}

constexpr wait_kind to_begin{"its first turn", cancel_unstarted, nullptr};
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

namespace {

/// The awaits that the latest exception on this thread passed through, innermost first. It is
/// written only while an exception passes. An exception is identified by its address, which a later
/// one may reuse: so the record is valid only while the exception goes from frame to frame.
struct error_path {
    static constexpr std::size_t max_count = 16;
    const void* error = nullptr;
    const void* into = nullptr;       // the frame it was thrown into, until that frame fails
    const void* failed_in = nullptr;  // the frame that failed with it, until it goes on
    std::size_t count = 0;
    std::array<location, max_count> through;
};
thread_local constinit error_path latest{};

const void* address_in(const std::exception_ptr& error) noexcept {
    const void* address = nullptr;
    static_assert(sizeof address == sizeof error);
    std::memcpy(&address, &error, sizeof address);
    return address;
}

/// Records that the error passes from the frame `from` into the frame that awaits it.
void record_passage(const std::exception_ptr& error, promise_base& from) noexcept {
    const void* const address = address_in(error);
    const void* const frame = from.handle().address();
    if (latest.error != address || latest.failed_in != frame) latest.count = 0;
    latest.error = address;
    latest.into = from.awaiter->caller.address();
    latest.failed_in = nullptr;
    if (latest.count < error_path::max_count)
        latest.through[latest.count++] = from.awaiter->where;
}

/// Whether the exception that is being handled was thrown by std::rethrow_exception, as an await
/// does; otherwise it is a new one. The Itanium C++ ABI tells them apart by the exception class,
/// whose last byte is 1 for a dependent exception. It is 80 bytes after the beginning of the
/// header.
bool was_rethrown() noexcept {
    const void* header = nullptr;
    std::memcpy(&header, static_cast<const void*>(abi::__cxa_get_globals()), sizeof header);
    if (header == nullptr) return false;
    std::uint64_t exception_class = 0;
    constexpr std::size_t class_at = 80;
    std::memcpy(&exception_class, static_cast<const char*>(header) + class_at,
                sizeof exception_class);
    return (exception_class & 0xff) == 1;
}

/// Records that `frame` fails with the error, which it has thrown or which passed into it.
void record_failure(const std::exception_ptr& error, promise_base& frame) noexcept {
    const void* const address = frame.handle().address();
    const bool goes_on = latest.into == address && was_rethrown();
    if (latest.error == address_in(error) && !goes_on) latest.error = nullptr;
    latest.into = nullptr;
    latest.failed_in = address;
}

}  // namespace

std::string path_of(const std::exception_ptr& error) {
    std::string path;
    if (error == nullptr || latest.error != address_in(error)) return path;
    for (std::size_t i = 0; i < latest.count; ++i) {
        const location& at = latest.through[i];
        const char* const slash = std::strrchr(at.file, '/');
        path += (path.empty() ? "; in " : " < ") + std::string(at.function) + " (" +
                (slash != nullptr ? slash + 1 : at.file) + ':' + std::to_string(at.line) + ')';
    }
    return path;
}

// If a destructor throws after co_return, its error replaces the value, which the caller of this
// function has destroyed.
void promise_base::fail(std::exception_ptr why) noexcept {
    record_failure(why, *this);
    flags &= ~std::uint32_t(valued);
    flags |= failed | (is_cancellation(why) ? was_cancelled : 0u);
    ::new (static_cast<void*>(&record.error)) std::exception_ptr(std::move(why));
}

void promise_base::end() noexcept {
    if ((flags & (root | failed | seen | was_cancelled)) == (root | failed))
        report_unseen(record, record.error);
    if ((flags & named) != 0) ::operator delete(const_cast<void*>(record.origin));
    if ((flags & failed) != 0) std::destroy_at(&record.error);
}

// The error is moved out meanwhile, since it shares its memory with `wait`: a destructor may cancel
// this task, and cancelling reads `wait`.
void promise_base::end_failed_coroutine() noexcept {
    std::exception_ptr error = std::exchange(record.error, nullptr);
    flags &= ~std::uint32_t(failed);
    end_coroutine();
    flags |= failed;
    record.error = std::move(error);
}

void promise_base::drop_outcome() noexcept {
    if (rest().drop_value != nullptr) rest().drop_value(*this);
    if ((flags & (failed | named)) != 0) end();
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
    const bool root = (frame.flags & shared_core::root) != 0;
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

// The exception is moved out first: it must not stay alive in a frame that may be held for long.
void promise_base::throw_error() {
    if ((flags & (failed | was_cancelled)) == was_cancelled)
        throw future_cancelled("the task was cancelled before it began");
    if ((flags & failed) == 0) std::rethrow_exception(without_value(*this));
    flags |= seen;
    if ((flags & root) == 0) record_passage(record.error, *this);
    std::rethrow_exception(std::exchange(record.error, nullptr));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
