// SPDX-License-Identifier: MIT
// The move-only callable: stored in place and on the heap, and when it is destroyed.
#include <rondo/detail/base/function.hpp>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

using rondo::detail::function;

namespace {

static_assert(std::is_nothrow_move_constructible_v<function<void()>>);
static_assert(std::is_nothrow_move_assignable_v<function<void()>>);
static_assert(!std::is_copy_constructible_v<function<void()>>);
static_assert(sizeof(function<void()>) == 5 * sizeof(void*));
static_assert(!std::is_constructible_v<function<void(int)>, void (*)(std::string)>);
static_assert(!std::is_constructible_v<function<int()>, void (*)()>);

// A callable of a chosen size that counts its instances.
template <std::size_t Size>
struct tracked {
    static inline int alive = 0;
    std::array<char, Size> ballast{};
    explicit tracked(char mark) {
        ballast[0] = mark;
        ++alive;
    }
    tracked(tracked&& other) noexcept : ballast(other.ballast) { ++alive; }
    ~tracked() { --alive; }
    int operator()(int more) { return ballast[0] + more; }
};

template <std::size_t Size>
void check_life() {
    using callable = tracked<Size>;
    callable::alive = 0;
    {
        function<int(int)> a(callable(1));
        CHECK(callable::alive == 1);
        CHECK(a(10) == 11);
        function<int(int)> b(std::move(a));
        CHECK_FALSE(a);
        REQUIRE(b);
        CHECK(callable::alive == 1);
        CHECK(b(20) == 21);
        a = callable(2);
        CHECK(callable::alive == 2);
        a = std::move(b);
        CHECK(callable::alive == 1);
        CHECK(a(30) == 31);
        auto& same = a;
        a = std::move(same);
        CHECK(a(40) == 41);
        a.reset();
        CHECK_FALSE(a);
        CHECK(callable::alive == 0);
        b = callable(3);
    }
    CHECK(callable::alive == 0);
}

int twice(int x) { return 2 * x; }

}  // namespace

TEST_CASE("function: moves, replaces and destroys a callable stored in place", "[function]") {
    check_life<1>();
    check_life<24>();
}

TEST_CASE("function: moves, replaces and destroys a callable stored on the heap", "[function]") {
    check_life<25>();
    check_life<1000>();
}

TEST_CASE("function: a callable whose move may throw is stored on the heap", "[function]") {
    struct throws_on_move {
        int moves_left;
        explicit throws_on_move(int moves) : moves_left(moves) {}
        throws_on_move(throws_on_move&& other) : moves_left(other.moves_left - 1) {
            if (moves_left < 0) throw 1;
        }
        int operator()() { return moves_left; }
    };
    function<int()> a(throws_on_move(1));
    function<int()> b(std::move(a));
    CHECK(b() == 0);
    CHECK_THROWS_AS(function<int()>(throws_on_move(0)), int);
}

TEST_CASE("function: takes move-only callables and passes arguments through", "[function]") {
    auto owned = std::make_unique<int>(5);
    function<int()> counter([owned = std::move(owned)]() mutable { return ++*owned; });
    CHECK(counter() == 6);
    CHECK(counter() == 7);

    function<std::string(std::unique_ptr<int>, std::string&, const std::string&)> mixed(
        [](std::unique_ptr<int> p, std::string& out, const std::string& in) {
            out += in;
            return std::to_string(*p) + out;
        });
    std::string out = "a";
    CHECK(mixed(std::make_unique<int>(1), out, "b") == "1ab");
    CHECK(out == "ab");

    int target = 0;
    function<int&()> refers([&target]() -> int& { return target; });
    CHECK(&refers() == &target);
    function<void()> drops([&target] { return ++target; });
    drops();
    CHECK(target == 1);
    function<long(int)> pointer(twice);
    CHECK(pointer(21) == 42);
}

TEST_CASE("function: is empty until a callable is assigned", "[function]") {
    function<void()> none;
    CHECK_FALSE(none);
    function<void()> null(nullptr);
    CHECK_FALSE(null);
    none = [] {};
    CHECK(none);
    none = nullptr;
    CHECK_FALSE(none);
}

TEST_CASE("function: an exception passes through and the function stays usable", "[function]") {
    function<int(bool)> f([calls = 0](bool fail) mutable {
        ++calls;
        if (fail) throw std::string("thrown");
        return calls;
    });
    CHECK_THROWS_AS(f(true), std::string);
    CHECK(f(false) == 2);
}

TEST_CASE("function: is already empty while its callable is destroyed", "[function]") {
    // Otherwise a destructor that calls the function would call a half-destroyed callable.
    function<void()> f;
    bool seen_empty = false;
    struct looks {
        function<void()>* owner;
        bool* seen_empty;
        looks(function<void()>* o, bool* s) : owner(o), seen_empty(s) {}
        looks(looks&& other) noexcept
            : owner(std::exchange(other.owner, nullptr)), seen_empty(other.seen_empty) {}
        ~looks() {
            if (owner != nullptr) *seen_empty = !*owner;
        }
        void operator()() {}
    };
    f = looks(&f, &seen_empty);
    f.reset();
    CHECK(seen_empty);
}
