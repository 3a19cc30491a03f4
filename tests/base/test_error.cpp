// SPDX-License-Identifier: MIT
// Errors, `result` and `outcome`: texts, which handler catches which error, and every state of an
// outcome.
#include <rondo/error.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

using rondo::outcome;
using rondo::result;

namespace {

static_assert(!std::is_base_of_v<std::exception, rondo::cancelled>);
static_assert(!std::is_base_of_v<std::exception, rondo::interrupted>);
static_assert(sizeof(outcome<void>) == sizeof(void*));
static_assert(sizeof(outcome<int>) <= 16);
static_assert(sizeof(outcome<std::uint64_t>) == 16);
static_assert(sizeof(outcome<int&>) == 16);
static_assert(std::is_copy_constructible_v<outcome<std::string>>);
static_assert(!std::is_copy_constructible_v<outcome<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<outcome<std::unique_ptr<int>>>);
static_assert(std::is_trivially_copyable_v<result<int>>);
// g++ 12 destroys aggregate temporaries of a co_await expression twice; classes with constructors
// are safe.
static_assert(!std::is_aggregate_v<outcome<int>> && !std::is_aggregate_v<outcome<void>>);
static_assert(!std::is_aggregate_v<result<int>> && !std::is_aggregate_v<result<void>>);

// Counts its live instances, so that a test sees an object destroyed twice or never.
struct counted {
    static inline int alive = 0;
    int value;
    explicit counted(int v) : value(v) { ++alive; }
    counted(const counted& other) : value(other.value) { ++alive; }
    ~counted() { --alive; }
};

struct no_default {
    int value;
    explicit no_default(int v) : value(v) {}
};

template <class E, class... Args>
std::exception_ptr thrown(Args... args) {
    return std::make_exception_ptr(E(args...));
}

template <class Fn>
std::string text_thrown_by(Fn&& fn) {
    try {
        fn();
    } catch (const std::exception& e) {
        return e.what();
    }
    return "nothing was thrown";
}

template <class E>
void throw_it() {
    throw E();
}

}  // namespace

TEST_CASE("error: a handler of std::exception does not see cancelled and interrupted", "[error]") {
    const auto caught_by = [](void (*fn)()) -> std::string {
        try {
            fn();
        } catch (const std::exception&) {
            return "std::exception";
        } catch (...) {
            return "...";
        }
        return "nothing";
    };
    CHECK(caught_by(throw_it<rondo::cancelled>) == "...");
    CHECK(caught_by(throw_it<rondo::interrupted>) == "...");
    CHECK(caught_by(throw_it<rondo::future_cancelled>) == "std::exception");
    CHECK_THROWS_AS(throw_it<rondo::future_cancelled>(), rondo::error);
    CHECK_THROWS_AS(throw_it<rondo::no_running_loop_error>(), rondo::error);
}

TEST_CASE("error: a system error's text is verb, object and message", "[error]") {
    using rondo::detail::throw_system_error;
    CHECK(text_thrown_by([] { throw_system_error(ECONNREFUSED, "connect", "127.0.0.1:7007"); }) ==
          "connect 127.0.0.1:7007: Connection refused");
    CHECK(text_thrown_by([] { throw_system_error(EMFILE, "accept", ""); }) ==
          "accept: Too many open files");
    try {
        throw_system_error(ECONNREFUSED, "connect", "x");
    } catch (const std::system_error& e) {
        CHECK(e.code() == std::errc::connection_refused);
        CHECK(e.code().value() == ECONNREFUSED);
    }
}

TEST_CASE("error: timeout_error names the duration, and is a system error timed_out", "[error]") {
    using namespace std::chrono_literals;
    CHECK(std::string(rondo::timeout_error().what()) == "timed out");
    CHECK(std::string(rondo::timeout_error(2s).what()) == "timed out after 2s");
    CHECK(std::string(rondo::timeout_error(1500ms).what()) == "timed out after 1.5s");
    CHECK(std::string(rondo::timeout_error(250ms).what()) == "timed out after 250ms");
    CHECK(std::string(rondo::timeout_error(1050us).what()) == "timed out after 1.05ms");
    CHECK(std::string(rondo::timeout_error(64us).what()) == "timed out after 64us");
    CHECK(std::string(rondo::timeout_error(7ns).what()) == "timed out after 7ns");
    CHECK(std::string(rondo::timeout_error(0s).what()) == "timed out after 0ns");
    CHECK(std::string(rondo::timeout_error("connect localhost:7007", 3s).what()) ==
          "connect localhost:7007: timed out after 3s");
    try {
        throw rondo::timeout_error(2s);
    } catch (const std::system_error& e) {
        CHECK(e.code() == std::errc::timed_out);
        CHECK(std::string(e.what()) == "timed out after 2s");
    }
}

TEST_CASE("error: incomplete_read_error keeps the bytes that arrived, including zero bytes",
          "[error]") {
    const rondo::incomplete_read_error e(std::string("ab\0c", 4), 10);
    const rondo::incomplete_read_error copy = e;
    CHECK(copy.expected() == 10);
    CHECK(copy.bytes() == std::string("ab\0c", 4));
    CHECK(std::string(copy.what()) == "the stream ended after 4 of 10 bytes");
    CHECK(std::string(rondo::incomplete_read_error("ab", 0).what()) ==
          "the stream ended after 2 bytes, before the separator");
    static_assert(std::is_nothrow_copy_constructible_v<rondo::incomplete_read_error>);
    static_assert(std::is_nothrow_copy_constructible_v<rondo::timeout_error>);
}

TEST_CASE("error: interrupted, as an expression, converts to the value that the last run set",
          "[error]") {
    CHECK_FALSE(rondo::interrupted());
    rondo::detail::set_interrupted(SIGTERM);
    CHECK(rondo::interrupted() == 143);
    rondo::detail::set_interrupted(0);
    CHECK_FALSE(rondo::interrupted());
}

TEST_CASE("assert: a failed assertion writes its sentence and aborts", "[error]") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL);  // Catch's handler would report the child's end as its own
        ::dup2(ends[1], STDERR_FILENO);
        RONDO_ASSERT(1 + 1 == 2, "arithmetic is broken");
        RONDO_ASSERT(1 + 1 == 3, "two and one are not three");
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string text;
    char part[256];
    for (ssize_t n; (n = ::read(ends[0], part, sizeof part)) > 0;)
        text.append(part, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(text.find("rondo: two and one are not three\n") != std::string::npos);
    CHECK(text.find("arithmetic") == std::string::npos);
}

TEST_CASE("result: holds a value or an error code", "[error]") {
    result<std::string> good("text");
    REQUIRE(good);
    CHECK(*good == "text");
    CHECK(good->size() == 4);
    CHECK(good.value() == "text");
    CHECK(good.error() == std::error_code());
    CHECK(std::move(good).value() == "text");

    const result<int> bad(std::make_error_code(std::errc::connection_reset));
    CHECK_FALSE(bad.has_value());
    CHECK(bad.error() == std::errc::connection_reset);
    try {
        (void)bad.value();
        FAIL("value() of an error returned");
    } catch (const std::system_error& e) {
        CHECK(e.code() == std::errc::connection_reset);
    }

    result<std::unique_ptr<int>> owner(std::make_unique<int>(5));
    CHECK(*std::move(owner).value() == 5);
    CHECK(result<no_default>(no_default(3)).value().value == 3);
}

TEST_CASE("result: of void", "[error]") {
    const result<void> good;
    CHECK(good.has_value());
    good.value();
    const result<void> bad(std::make_error_code(std::errc::broken_pipe));
    CHECK_FALSE(bad);
    CHECK_THROWS_AS(bad.value(), std::system_error);
}

TEST_CASE("outcome: is empty until it has a value", "[error]") {
    outcome<int> one;
    CHECK(one.empty());
    CHECK_FALSE(one);
    CHECK_THROWS_AS(one.value(), rondo::invalid_state_error);
    CHECK_THROWS_AS(one.take(), rondo::invalid_state_error);
    one.emplace(7);
    CHECK(one.has_value());
    CHECK(one.value() == 7);
    CHECK(one.take() == 7);
    CHECK(one.exception() == nullptr);
}

TEST_CASE("outcome: throws the exception as the type it was thrown as", "[error]") {
    struct mine { int code; };
    outcome<int> one(std::make_exception_ptr(mine{42}));
    CHECK(one.has_exception());
    CHECK_FALSE(one.has_value());
    const auto code_of = [](auto&& fn) {
        try {
            fn();
        } catch (const mine& m) {
            return m.code;
        }
        return 0;
    };
    CHECK(code_of([&] { (void)one.value(); }) == 42);
    CHECK(code_of([&] { (void)std::as_const(one).value(); }) == 42);
    CHECK(code_of([&] { (void)std::move(one).value(); }) == 42);
    CHECK(one.has_exception());  // value() leaves it there
    CHECK(code_of([&] { (void)one.take(); }) == 42);
    CHECK(one.empty());  // take() does not
    CHECK(code_of([] { outcome<void>(std::make_exception_ptr(mine{43})).value(); }) == 43);
}

TEST_CASE("outcome: take moves the exception out, so it is destroyed with its handler", "[error]") {
    struct carrier { std::shared_ptr<int> cargo; };
    auto cargo = std::make_shared<int>(1);
    outcome<void> nothing;
    outcome<int> number;
    nothing.set_exception(std::make_exception_ptr(carrier{cargo}));
    number.set_exception(std::make_exception_ptr(carrier{cargo}));
    CHECK(cargo.use_count() == 3);
    CHECK_THROWS_AS(nothing.take(), carrier);
    CHECK(cargo.use_count() == 2);
    CHECK_THROWS_AS(number.take(), carrier);
    CHECK(cargo.use_count() == 1);
    CHECK_THROWS_AS(nothing.take(), rondo::invalid_state_error);
}

TEST_CASE("outcome: references, move-only types and types without default constructor", "[error]") {
    int target = 1;
    outcome<int&> ref(target);
    ref.value() = 2;
    CHECK(target == 2);
    CHECK(&ref.take() == &target);
    int& again = std::move(ref).value();
    CHECK(&again == &target);

    std::string movable = "moved";
    outcome<std::string&&> rvalue;
    rvalue.emplace(std::move(movable));
    const std::string taken = rvalue.take();
    CHECK(taken == "moved");
    CHECK(movable.empty());

    outcome<std::unique_ptr<int>> owner;
    owner.emplace(new int(3));
    outcome<std::unique_ptr<int>> moved = std::move(owner);
    CHECK(*moved.value() == 3);
    std::unique_ptr<int> out = moved.take();
    CHECK(*out == 3);

    outcome<no_default> plain;
    plain.emplace(9);
    CHECK(plain.take().value == 9);

    outcome<const int> constant(4);
    CHECK(constant.value() == 4);
}

TEST_CASE("outcome: every transition destroys the previous content once", "[error]") {
    counted::alive = 0;
    {
        outcome<counted> a(counted(1));
        CHECK(counted::alive == 1);
        a.emplace(2);
        CHECK(counted::alive == 1);
        outcome<counted> b = a;
        CHECK(counted::alive == 2);
        b.set_exception(thrown<int>(1));
        CHECK(counted::alive == 1);
        outcome<counted> c = std::move(a);
        CHECK(counted::alive == 2);
        c = b;
        CHECK(c.has_exception());
        CHECK(counted::alive == 1);
        b = a;
        CHECK(b.value().value == 2);
        b.reset();
        CHECK(b.empty());
        a = b;
        CHECK(a.empty());
        CHECK(counted::alive == 0);
    }
    CHECK(counted::alive == 0);
}

TEST_CASE("outcome: of void goes through all its states", "[error]") {
    outcome<void> one;
    CHECK(one.empty());
    CHECK_THROWS_AS(one.value(), rondo::invalid_state_error);
    one.emplace();
    CHECK(one.has_value());
    one.value();
    one.take();
    outcome<void> copy = one;
    CHECK(copy.has_value());
    one.set_exception(thrown<rondo::cancelled>());
    CHECK_FALSE(one.has_value());
    CHECK_THROWS_AS(one.value(), rondo::cancelled);
    copy = one;
    CHECK(copy.exception() == one.exception());
    outcome<void> moved = std::move(copy);
    CHECK(moved.has_exception());
    moved = outcome<void>();
    CHECK(moved.empty());
    one.emplace();
    CHECK(one.has_value());
    CHECK(one.exception() == nullptr);
}

TEST_CASE("outcome: a value whose construction throws leaves it empty", "[error]") {
    struct refuses {
        explicit refuses(int) { throw 5; }
    };
    outcome<refuses> one;
    CHECK_THROWS_AS(one.emplace(1), int);
    CHECK(one.empty());
}
