// SPDX-License-Identifier: MIT
// Launching a task, and telling a cancellation from an error.
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

namespace {

/// The awaits that the latest exception on this thread came through, innermost first. It is
/// written only while one passes. The exception is known by its address, which a later one may
/// have: so it counts only as long as it goes from frame to frame.
struct passage {
    static constexpr std::size_t most = 16;
    const void* error = nullptr;
    const void* into = nullptr;       // the frame that it was thrown into, until that has failed
    const void* failed_in = nullptr;  // the frame that failed with it, until it goes on
    std::size_t count = 0;
    std::array<location, most> through;
};
thread_local constinit passage latest{};

const void* address_in(const std::exception_ptr& error) noexcept {
    const void* address = nullptr;
    static_assert(sizeof address == sizeof error);
    std::memcpy(&address, &error, sizeof address);
    return address;
}

/// It goes on from the frame `from` into the one that awaits it.
void note_passage(const std::exception_ptr& error, promise_base& from) noexcept {
    const void* const address = address_in(error);
    const void* const frame = from.handle().address();
    if (latest.error != address || latest.failed_in != frame) latest.count = 0;
    latest.error = address;
    latest.into = from.awaiter->caller.address();
    latest.failed_in = nullptr;
    if (latest.count < passage::most) latest.through[latest.count++] = from.awaiter->where;
}

/// Was the exception that is being handled thrown on by std::rethrow_exception, as an await does it?
/// Otherwise it is a new one. The Itanium C++ ABI has the difference in the class of the exception,
/// whose last byte is 1 for a dependent exception; it stands 80 bytes from the beginning of its header.
bool was_thrown_on() noexcept {
    const void* header = nullptr;
    std::memcpy(&header, static_cast<const void*>(abi::__cxa_get_globals()), sizeof header);
    if (header == nullptr) return false;
    std::uint64_t exception_class = 0;
    constexpr std::size_t class_at = 80;
    std::memcpy(&exception_class, static_cast<const char*>(header) + class_at,
                sizeof exception_class);
    return (exception_class & 0xff) == 1;
}

/// A frame fails with it: one that it came into, or one that has thrown it.
void note_failure(const std::exception_ptr& error, promise_base& frame) noexcept {
    const void* const address = frame.handle().address();
    const bool goes_on = latest.into == address && was_thrown_on();
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

// An error of a destructor after co_return wins over the value, which its caller has destroyed.
void promise_base::fail(std::exception_ptr why) noexcept {
    note_failure(why, *this);
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

// The error moves out meanwhile: a destructor may cancel this very task, and the request looks for a wait where the
// error stands.
void promise_base::end_failed_coroutine() noexcept {
    std::exception_ptr error = std::exchange(record.error, nullptr);
    flags &= ~std::uint32_t(failed);
    end_coroutine();
    flags |= failed;
    record.error = std::move(error);
}

void promise_base::drop_outcome() noexcept {
    if (left().drop_value != nullptr) left().drop_value(*this);
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

// Moved out first: the exception must not live on in a frame that may be held for long.
void promise_base::throw_error() {
    if ((flags & (failed | was_cancelled)) == was_cancelled)
        throw future_cancelled("the task was cancelled before it began");
    if ((flags & failed) == 0) std::rethrow_exception(without_value(*this));
    flags |= seen;
    if ((flags & root) == 0) note_passage(record.error, *this);
    std::rethrow_exception(std::exchange(record.error, nullptr));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
