// SPDX-License-Identifier: MIT
// A kernel operation with a coroutine waiting on it.
//
// An `operation<T>` is a movable description: the request to the kernel, the descriptor, and a
// function that makes a T of the result. Awaiting it puts all of it, state, links and result, into
// the awaiting frame; nothing is allocated. The frame stays where it is until the kernel's final
// completion has come, whatever was requested meanwhile (law 1). A result that arrives in spite of
// a cancellation is returned (law 2).
//
//     idle ──begin──> queued ──a slot──> in_flight ──completion──> done
//                       └──cancel──> done    └──cancel──> cancelling ──completion──> done
//
// If the kernel answers EAGAIN (a descriptor with O_NONBLOCK), the operation goes from in_flight
// back to queued: first as a poll, then as itself again. An interrupted operation goes back to
// queued unchanged; if a cancel was requested, it ends with ECANCELED.
//
// A `descriptor` is a small record that counts its operations. Closing it marks it closed and
// cancels the operations in flight; the last completion closes the number, so that no operation can
// ever run on a later descriptor (law 4).
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/detail/kernel/entry.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

class descriptor;

namespace detail {

struct descriptor_record;

/// The part of a submission entry that an operation fills in.
struct request {
    opcode code = opcode::nop;
    std::uint8_t flags = 0;
    std::uint16_t ioprio = 0;
    std::uint32_t length = 0;
    std::uint64_t address = 0;
    std::uint64_t offset = 0;
    std::uint32_t op_flags = 0;
    /// The descriptor of an operation that is on no record; its caller keeps it open. By default
    /// the working directory of the process (AT_FDCWD). For a splice, the other descriptor.
    std::int32_t number = -100;
};

/// request::ioprio of a splice that reads from the descriptor it is on and writes to
/// request::number.
inline constexpr std::uint16_t splice_takes = 1;

inline std::uint64_t address_of(const void* p) noexcept {
    return reinterpret_cast<std::uint64_t>(p);
}

/// An operation in the frame that awaits it.
struct RONDO_API operation_state : leaf_wait {
    enum class phase_t : std::uint8_t { idle, queued, in_flight, cancelling, done, refused };
    // leaf_wait::state; derived classes have the bits from 16 on, except the last one.
    enum : std::uint32_t {
        cancel_unsent = 2,  // cancelled in flight; the cancel waits in the backlog
        polling = 4,        // its entry is a poll, because the kernel answered EAGAIN
        holds_record = 8,   // its descriptor was closed meanwhile; it keeps the record for its name
        cancel_sent = 1u << 31,  // cancelled in flight; the cancel was submitted
    };

    detail::request request;
    descriptor_record* on = nullptr;       // null: no descriptor (openat, socket)
    list_links<operation_state> links;     // in the list of its descriptor's operations
    operation_state* later = nullptr;      // in the loop's backlog, or its list of cancelled ones
    resumer* home = nullptr;
    std::int32_t result = 0;
    std::uint32_t flags = 0;
    phase_t phase = phase_t::idle;
    /// Called with each completion. If null, the last completion makes the task ready.
    void (*on_completion)(operation_state&) noexcept = nullptr;

    operation_state(const wait_kind& k, descriptor_record* d, const detail::request& r) noexcept
        : leaf_wait(k), request(r), on(d) {}
    ~operation_state();

    bool in_kernel() const noexcept {
        return phase == phase_t::in_flight || phase == phase_t::cancelling;
    }
};

/// Drops the record of a closed descriptor that an operation kept: its error may tell the name.
RONDO_API void let_go_of_record(operation_state& operation) noexcept;

using operation_list = intrusive_list<operation_state, &operation_state::links>;
using operation_fifo = intrusive_fifo<operation_state, &operation_state::later>;

inline operation_state::~operation_state() {
    if ((state & holds_record) != 0) [[unlikely]]
        let_go_of_record(*this);
}

/// Makes an entry of it, or appends it to the backlog if no entry is free. On the running loop.
RONDO_API void begin(operation_state& operation) noexcept;

/// An operation that no task waits on, such as a multishot accept. Its loop keeps a list of them.
struct RONDO_API background_operation : operation_state {
    list_links<background_operation> of_loop;

    using operation_state::operation_state;
};
using background_list = intrusive_list<background_operation, &background_operation::of_loop>;

/// For await_ready, if the task is cancelled: marks the operation as refused, so that nothing is
/// submitted. True if the wait may throw at once; otherwise `begin` only lets other tasks run
/// first.
RONDO_API bool refuse_operation(operation_state& operation) noexcept;

/// Begins it: `on_completion` is called with each completion. The loop cancels it when the loop
/// ends.
RONDO_API void begin_background(background_operation& operation) noexcept;

/// Asks the kernel to cancel it. Its completion comes in any case. `wait_kind::cancel` of all
/// operations.
RONDO_API void cancel_operation(leaf_wait& operation) noexcept;

/// `wait_kind::object` of all operations: the name of the descriptor.
RONDO_API const char* operation_object(const leaf_wait& operation);

/// Throws the error of a negative result: `cancelled` if the task was cancelled and the result is
/// ECANCELED, else std::system_error.
[[noreturn]] RONDO_API void throw_failed(const operation_state& operation);

/// Closes a descriptor that came with a result that no task takes any more.
RONDO_API void close_unclaimed(int number) noexcept;

template <class T>
class operation_awaiter : public operation_state {
public:
    using finisher = T (*)(operation_state&);

    operation_awaiter(const wait_kind& k, descriptor_record* d, const detail::request& r,
                      finisher finish) noexcept
        : operation_state(k, d, r), finish_(finish) {}

    bool await_ready() noexcept {
        return is_cancelled() && refuse_operation(*this);
    }
    void await_suspend(std::coroutine_handle<> frame,
                       location at = location::current()) noexcept {
        park(*this, frame, at);
        begin(*this);
    }
    T await_resume() {
        if (is_refused()) throw cancelled();
        if (result < 0) throw_failed(*this);
        return finish_(*this);
    }

protected:
    finisher finish_;
};

template <class T>
class result_awaiter;

}  // namespace detail

/// A kernel operation that is described and not yet begun; `co_await` begins it and gives its T.
/// Throws: std::system_error with the operation's name and its object; what `finish` throws.
/// Cancel: asks the kernel to cancel it. A result that arrives nevertheless is returned, and the
///         next wait throws.
/// Thread: its loop's.
template <class T>
class [[nodiscard("an operation does nothing until it is awaited")]] operation
    : detail::only_in_tasks {
public:
    using value_type = T;
    using finisher = T (*)(detail::operation_state&);

    /// `finish` makes the T of a result that is not negative. `kind` names the operation; see
    /// operation_kind.
    operation(const detail::wait_kind& kind, detail::descriptor_record* on,
              const detail::request& ask, finisher finish) noexcept
        : kind_(&kind), on_(on), finish_(finish), ask_(ask) {}

    detail::operation_awaiter<T> rondo_awaiter() && noexcept {
        return detail::operation_awaiter<T>(*kind_, on_, ask_, finish_);
    }

private:
    friend class detail::result_awaiter<T>;
    const detail::wait_kind* kind_;
    detail::descriptor_record* on_;
    finisher finish_;
    detail::request ask_;
};

namespace detail {

/// The kind of an operation, a constant: `static constexpr auto kind = operation_kind("recv");`
constexpr wait_kind operation_kind(const char* what) noexcept {
    return {what, cancel_operation, operation_object};
}

/// As operation_awaiter, but a failure is a value. A cancellation is thrown.
template <class T>
class result_awaiter : public operation_awaiter<T> {
public:
    explicit result_awaiter(operation<T>&& from) noexcept
        : operation_awaiter<T>(*from.kind_, from.on_, from.ask_, from.finish_) {}
    result<T> await_resume() {
        if (this->is_refused()) throw cancelled();
        if (this->result >= 0) {
            if constexpr (std::is_void_v<T>) {
                this->finish_(*this);
                return rondo::result<void>();
            } else {
                return rondo::result<T>(this->finish_(*this));
            }
        }
        if (this->result == -ECANCELED && detail::is_cancelled()) throw cancelled();
        return rondo::result<T>(std::error_code(-this->result, std::system_category()));
    }
};

template <class T>
class as_result_awaitable : only_in_tasks {
public:
    explicit as_result_awaitable(operation<T>&& inner) noexcept : inner_(std::move(inner)) {}
    result_awaiter<T> rondo_awaiter() && noexcept { return result_awaiter<T>(std::move(inner_)); }

private:
    operation<T> inner_;
};

}  // namespace detail

/// The same operation with its failure as a value: `co_await` gives result<T> and throws only
/// `cancelled`.
template <class T>
detail::as_result_awaitable<T> as_result(operation<T> inner) noexcept {
    return detail::as_result_awaitable<T>(std::move(inner));
}

namespace detail {

class closing_awaiter;

/// Result of descriptor::close: may be ignored, or awaited until the number is closed.
class RONDO_API closing : only_in_tasks {
public:
    explicit closing(descriptor_record* record) noexcept;
    closing(closing&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
    ~closing();
    closing_awaiter rondo_awaiter() && noexcept;

private:
    descriptor_record* record_;
};

class RONDO_API closing_awaiter : leaf_wait, wait_node {
public:
    explicit closing_awaiter(descriptor_record* record) noexcept;
    ~closing_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame,
                       location at = location::current()) noexcept;
    void await_resume();

private:
    friend struct closing_kind;
    descriptor_record* record_;
};

}  // namespace detail

/// A descriptor of the operating system; inside a simulated loop, of the simulator. Move-only; the
/// destructor closes it. Operations on it keep the number open until their last completion.
class RONDO_API descriptor {
public:
    descriptor() noexcept = default;

    /// Takes ownership of `number`. `name` is for errors and diagnostics: an endpoint, a path.
    /// Inside a turn, `number` belongs to the kernel of the running loop, which may be the
    /// simulator; otherwise to the operating system.
    /// Throws: std::bad_alloc; `number` then stays the caller's.
    static descriptor adopt(int number, std::string_view name);

    descriptor(descriptor&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        descriptor old(std::move(other));
        std::swap(record_, old.record_);
        return *this;
    }
    ~descriptor();

    bool is_open() const noexcept;
    explicit operator bool() const noexcept { return is_open(); }

    /// The number, or -1. For system calls that leave it open. If it is closed by number, or
    /// replaced with dup2, operations may still reach the old file.
    int number() const noexcept;
    const std::string& name() const noexcept;
    void rename(std::string_view name);

    /// Marks it closed and cancels the operations in flight on it, which throw ECANCELED; the last
    /// one closes the number. Awaiting the result waits for that.
    /// Throws: if awaited: std::system_error of close(2).
    /// Cancel: if awaited: ends the wait; the number is closed all the same.
    /// See:    close(2), asyncio StreamWriter.close and wait_closed.
    detail::closing close() noexcept;

    /// For authors of operations.
    detail::descriptor_record* record() const noexcept { return record_; }

private:
    detail::descriptor_record* record_ = nullptr;
};

}  // namespace v0
}  // namespace rondo
