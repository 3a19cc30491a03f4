// SPDX-License-Identifier: MIT
// Errors. A failure is an exception: std::system_error if the operating system refused, a class
// derived from `rondo::error` if rondo refused. Exceptions of user code pass unchanged. Two types
// deliberately do not derive from std::exception, so that `catch (const std::exception&)` cannot
// swallow them: `cancelled` and `interrupted`.
//
// If an exception is too expensive or in the way, there are values. `result<T>` is a value or an
// error code; `outcome<T>` is a value or an exception that was caught elsewhere. Promises keep
// their result in an `outcome`: so it can be empty, emplace takes a few instructions, and
// outcome<void> is one pointer. A std::variant would take more code, an index of its own and more
// compile time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/config.hpp>
#include <rondo/detail/base/assert.hpp>

namespace rondo {
inline namespace v0 {

/// Thrown into a task whose scope was cancelled: by the wait that the task is suspended in, and by
/// each later wait. Let it pass, or clean up and rethrow it. Cleaning up with awaits needs
/// `shield`. It is not a std::exception, so that handlers of failures do not catch it.
/// See: asyncio.CancelledError, trio.Cancelled.
struct RONDO_API cancelled {};

/// Base class of rondo's errors.
class RONDO_API error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    ~error() override;
};

/// An object was used in a state that does not allow the call: a future without a result, a promise
/// that is set twice.
/// See: asyncio.InvalidStateError.
class RONDO_API invalid_state_error : public error {
public:
    using error::error;
    ~invalid_state_error() override;
};

/// The awaited future was cancelled. The task that waits for it was not cancelled itself: then its
/// wait would throw `cancelled`.
class RONDO_API future_cancelled : public error {
public:
    future_cancelled();
    using error::error;
    ~future_cancelled() override;
};

/// All errors of a task group, thrown if group_options::all_errors is set.
/// See: Python's ExceptionGroup.
class RONDO_API group_error : public error {
public:
    /// `what` names the group: "3 errors in a task group; the first: ...".
    group_error(const char* what, std::vector<std::exception_ptr> errors);
    ~group_error() override;

    /// Returns: the errors in the order in which they occurred; at least one.
    const std::vector<std::exception_ptr>& errors() const noexcept { return *errors_; }

private:
    // Shared, since copying an exception must not throw.
    std::shared_ptr<const std::vector<std::exception_ptr>> errors_;
};

/// More data arrived than a limit allows: a line longer than `read_line(limit)`.
/// See: asyncio.LimitOverrunError.
class RONDO_API limit_error : public error {
public:
    using error::error;
    ~limit_error() override;
};

/// The stream ended before all requested bytes had arrived.
/// See: asyncio.IncompleteReadError.
class RONDO_API incomplete_read_error : public error {
public:
    /// `bytes` arrived of `expected` bytes. `expected` is 0 if a separator did not arrive.
    incomplete_read_error(std::string bytes, std::size_t expected);
    ~incomplete_read_error() override;

    /// Returns: how many bytes were requested; 0 if the read was up to a separator.
    std::size_t expected() const noexcept { return expected_; }
    /// Returns: the bytes that had arrived.
    const std::string& bytes() const noexcept { return *bytes_; }

private:
    std::shared_ptr<const std::string> bytes_;  // shared, since copying must not throw
    std::size_t expected_;
};

/// A function that needs a running loop was called on a thread that runs none.
class RONDO_API no_running_loop_error : public error {
public:
    no_running_loop_error();
    using error::error;
    ~no_running_loop_error() override;
};

/// A wait that could never end. A thread waits for itself; a job waits for its own pool while all
/// threads of that pool do; or, on the simulator, every task waits and nothing can wake one.
class RONDO_API deadlock_error : public error {
public:
    using error::error;
    ~deadlock_error() override;
};

/// An object was used after it was closed: posting to a loop that has ended, reading a closed
/// stream.
class RONDO_API closed_error : public error {
public:
    using error::error;
    ~closed_error() override;
};

/// An item was put into a closed queue. Taking from a closed queue does not throw: it gives the
/// items that are left, then an empty optional.
/// See: asyncio.QueueShutDown.
class RONDO_API queue_closed_error : public closed_error {
public:
    queue_closed_error();
    using closed_error::closed_error;
    ~queue_closed_error() override;
};

/// A barrier was aborted or reset while the task waited at it, or was already broken.
/// See: asyncio.BrokenBarrierError.
class RONDO_API broken_barrier_error : public error {
public:
    broken_barrier_error();
    ~broken_barrier_error() override;
};

/// The pool cannot work: the initializer of one of its threads or processes failed.
/// See: concurrent.futures.BrokenExecutor.
class RONDO_API broken_pool_error : public error {
public:
    using error::error;
    ~broken_pool_error() override;
};

/// A deadline passed. code() is std::errc::timed_out. The text is rondo's own ("timed out after
/// 2s"), since the system's text ("Connection timed out") is about connections.
/// See: TimeoutError.
class RONDO_API timeout_error : public std::system_error {
public:
    timeout_error();
    explicit timeout_error(detail::time_limit after);
    /// "connect localhost:7007: timed out after 3s"
    timeout_error(std::string_view subject, detail::time_limit after);
    ~timeout_error() override;

    const char* what() const noexcept override { return text_.what(); }

private:
    explicit timeout_error(const std::string& text);
    std::runtime_error text_;  // the one string of the library whose copy cannot throw
};

/// Thrown by `run(task<T>)` if a signal ended the main task, so that there is no value to return.
/// As an expression, `interrupted()` converts to an exit code for main: it says how the last
/// `rondo::run` of this process ended.
///
///     rondo::run(serve());
///     return rondo::interrupted();  // 130 after SIGINT, 143 after SIGTERM, else 0
///
/// See: KeyboardInterrupt, which does not derive from Exception either.
class RONDO_API interrupted {
public:
    operator int() const noexcept;
};

namespace detail {

/// Stores the signal that ended the last run, or 0, for `interrupted()`.
RONDO_API void set_interrupted(int signal) noexcept;

/// Throws std::system_error whose text is "VERB OBJECT: MESSAGE", as in "connect 127.0.0.1:7007:
/// Connection refused". `error` is a positive errno; an empty object leaves "VERB: MESSAGE".
[[noreturn]] RONDO_API void throw_system_error(int error, const char* verb,
                                               std::string_view object);
[[noreturn]] RONDO_API void throw_system_error(std::error_code code);

[[noreturn]] RONDO_API void throw_empty_outcome();

/// Returns: its what(), or a description if it is not a std::exception.
RONDO_API std::string what_of(const std::exception_ptr& error);
[[gnu::cold]] RONDO_API void destroy(std::exception_ptr& exception) noexcept;

}  // namespace detail

/// A value of T or a std::error_code. `as_result` gives one, for paths on which failures are too
/// frequent to be thrown.
template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    template <class U = T>
        requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, result> &&
                 !std::is_same_v<std::remove_cvref_t<U>, std::error_code>)
    result(U&& value) : value_(std::forward<U>(value)) {}
    result(std::error_code error) noexcept : error_(error) {
        RONDO_ASSERT(error, "a result needs a value or an error code that is not zero");
    }

    bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return value_.has_value(); }
    /// Returns: the error; zero if there is a value.
    std::error_code error() const noexcept { return error_; }

    /// Returns: the value.
    /// Throws: std::system_error with error() if there is no value.
    T& value() & { return check(), *value_; }
    const T& value() const& { return check(), *value_; }
    T&& value() && { return check(), *std::move(value_); }

    /// Returns: the value. Undefined if there is none.
    T& operator*() & noexcept { return *value_; }
    const T& operator*() const& noexcept { return *value_; }
    T&& operator*() && noexcept { return *std::move(value_); }
    T* operator->() noexcept { return &*value_; }
    const T* operator->() const noexcept { return &*value_; }

private:
    void check() const {
        if (!value_) detail::throw_system_error(error_);
    }

    std::optional<T> value_;
    std::error_code error_;
};

template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    result() noexcept = default;
    result(std::error_code error) noexcept : error_(error) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return !error_; }
    std::error_code error() const noexcept { return error_; }
    void value() const {
        if (error_) detail::throw_system_error(error_);
    }
    void operator*() const noexcept {}

private:
    std::error_code error_;
};

/// A value of T, an exception, or nothing yet. T may be a reference, move-only, or without default
/// constructor. `value()` rethrows the exception with its original type.
template <class T>
class [[nodiscard]] outcome {
    using stored =
        std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, std::remove_const_t<T>>;

public:
    using value_type = T;

    outcome() noexcept {}
    template <class U = T>
        requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, outcome> &&
                 !std::is_same_v<std::remove_cvref_t<U>, std::exception_ptr>)
    outcome(U&& value) {
        emplace(std::forward<U>(value));
    }
    outcome(std::exception_ptr exception) noexcept { set_exception(std::move(exception)); }

    outcome(const outcome& other)
        requires(std::is_copy_constructible_v<stored>)
    {
        if (other.state_ == state::value) ::new (address()) stored(other.value_);
        if (other.state_ == state::exception)
            ::new (address()) std::exception_ptr(other.exception_);
        state_ = other.state_;
    }
    outcome(outcome&& other) noexcept(std::is_nothrow_move_constructible_v<stored>) {
        if (other.state_ == state::value) ::new (address()) stored(std::move(other.value_));
        if (other.state_ == state::exception)
            ::new (address()) std::exception_ptr(std::move(other.exception_));
        state_ = other.state_;
    }
    outcome& operator=(outcome other) noexcept(std::is_nothrow_move_constructible_v<stored>) {
        reset();
        return *::new (this) outcome(std::move(other));
    }
    ~outcome() { reset(); }

    /// Constructs the value in place; destroys the previous content.
    template <class... Args>
    void emplace(Args&&... args) {
        reset();
        if constexpr (std::is_reference_v<T>)
            value_ = refer(std::forward<Args>(args)...);
        else
            ::new (address()) stored(std::forward<Args>(args)...);
        state_ = state::value;
    }
    void set_exception(std::exception_ptr exception) noexcept {
        RONDO_ASSERT(exception, "an outcome was given a null exception_ptr");
        reset();
        ::new (address()) std::exception_ptr(std::move(exception));
        state_ = state::exception;
    }

    bool empty() const noexcept { return state_ == state::empty; }
    bool has_value() const noexcept { return state_ == state::value; }
    bool has_exception() const noexcept { return state_ == state::exception; }
    explicit operator bool() const noexcept { return has_value(); }
    /// Returns: the exception; null if there is none.
    std::exception_ptr exception() const noexcept {
        return state_ == state::exception ? exception_ : nullptr;
    }

    /// Returns: the value.
    /// Throws: the exception; invalid_state_error if there is neither value nor exception.
    std::add_lvalue_reference_t<T> value() & { return check(), get(); }
    std::add_lvalue_reference_t<const T> value() const& { return check(), get(); }
    T&& value() && { return check(), static_cast<T&&>(get()); }

    /// Moves the value out. If there is an exception, moves it out and throws it, so that it does
    /// not stay alive in this object.
    T take() {
        if (state_ != state::value) [[unlikely]] throw_taken();
        return static_cast<T&&>(get());
    }

    /// Destroys the content; the outcome is empty afterwards.
    void reset() noexcept {
        if (state_ == state::value) value_.~stored();
        if (state_ == state::exception) [[unlikely]] detail::destroy(exception_);
        state_ = state::empty;
    }

private:
    enum class state : std::uint8_t { empty, value, exception };

    void* address() noexcept { return static_cast<void*>(std::addressof(value_)); }
    static std::remove_reference_t<T>* refer(T&& object) noexcept {
        return std::addressof(object);
    }

    std::add_lvalue_reference_t<T> get() noexcept {
        if constexpr (std::is_reference_v<T>)
            return *value_;
        else
            return value_;
    }
    std::add_lvalue_reference_t<const T> get() const noexcept {
        if constexpr (std::is_reference_v<T>)
            return *value_;
        else
            return value_;
    }

    void check() const {
        if (state_ != state::value) [[unlikely]] throw_copied();
    }
    [[noreturn, gnu::cold, gnu::noinline]] void throw_copied() const {
        if (state_ == state::exception) std::rethrow_exception(exception_);
        detail::throw_empty_outcome();
    }
    [[noreturn, gnu::cold, gnu::noinline]] void throw_taken() {
        if (state_ == state::empty) detail::throw_empty_outcome();
        std::exception_ptr taken = std::move(exception_);
        reset();
        std::rethrow_exception(std::move(taken));
    }

    union {
        stored value_;
        std::exception_ptr exception_;
    };
    state state_ = state::empty;
};

/// Outcome of a task that returns nothing. It takes one pointer, the size of an exception_ptr:
/// 0 is empty, 1 is done, any other value is the exception.
template <>
class [[nodiscard]] outcome<void> {
public:
    using value_type = void;

    outcome() noexcept = default;
    outcome(std::exception_ptr exception) noexcept { set_exception(std::move(exception)); }
    outcome(const outcome& other) noexcept { copy(other); }
    outcome(outcome&& other) noexcept {
        if (other.has_exception())
            ::new (static_cast<void*>(bytes_)) std::exception_ptr(std::move(other.held()));
        else
            set_word(other.word());
    }
    outcome& operator=(const outcome& other) noexcept {
        if (this == &other) return *this;
        reset();
        copy(other);
        return *this;
    }
    outcome& operator=(outcome&& other) noexcept {
        if (this == &other) return *this;
        reset();
        return *::new (this) outcome(std::move(other));
    }
    ~outcome() { reset(); }

    void emplace() noexcept {
        reset();
        set_word(done);
    }
    void set_exception(std::exception_ptr exception) noexcept {
        RONDO_ASSERT(exception, "an outcome was given a null exception_ptr");
        reset();
        ::new (static_cast<void*>(bytes_)) std::exception_ptr(std::move(exception));
    }

    bool empty() const noexcept { return word() == 0; }
    bool has_value() const noexcept { return word() == done; }
    bool has_exception() const noexcept { return word() > done; }
    explicit operator bool() const noexcept { return has_value(); }
    std::exception_ptr exception() const noexcept { return has_exception() ? held() : nullptr; }

    void value() const {
        if (!has_value()) [[unlikely]] throw_copied();
    }
    void take() {
        if (!has_value()) [[unlikely]] throw_taken();
    }
    void reset() noexcept {
        if (has_exception()) [[unlikely]] detail::destroy(held());
        set_word(0);
    }

private:
    static constexpr std::uintptr_t done = 1;
    static_assert(sizeof(std::exception_ptr) == sizeof(std::uintptr_t));

    std::uintptr_t word() const noexcept {
        std::uintptr_t value;
        std::memcpy(&value, bytes_, sizeof value);
        return value;
    }
    void set_word(std::uintptr_t value) noexcept { std::memcpy(bytes_, &value, sizeof value); }

    std::exception_ptr& held() noexcept {
        return *std::launder(reinterpret_cast<std::exception_ptr*>(bytes_));
    }
    const std::exception_ptr& held() const noexcept {
        return *std::launder(reinterpret_cast<const std::exception_ptr*>(bytes_));
    }
    void copy(const outcome& other) noexcept {
        if (other.has_exception())
            ::new (static_cast<void*>(bytes_)) std::exception_ptr(other.held());
        else
            set_word(other.word());
    }

    [[noreturn, gnu::cold, gnu::noinline]] void throw_copied() const {
        if (has_exception()) std::rethrow_exception(held());
        detail::throw_empty_outcome();
    }
    [[noreturn, gnu::cold, gnu::noinline]] void throw_taken() {
        if (empty()) detail::throw_empty_outcome();
        std::exception_ptr taken = std::move(held());
        reset();
        std::rethrow_exception(std::move(taken));
    }

    alignas(std::exception_ptr) unsigned char bytes_[sizeof(std::exception_ptr)] = {};
};

}  // namespace v0
}  // namespace rondo
