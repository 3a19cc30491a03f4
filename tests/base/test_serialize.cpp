// SPDX-License-Identifier: MIT
// Values as bytes and back, and malformed bytes.
#include <rondo/serialize.hpp>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <unordered_map>
#include <variant>

#include "support/catch.hpp"

#ifdef RONDO_WITH_CEREAL
#include <cereal/types/bitset.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/variant.hpp>
#include <rondo/cereal.hpp>
#endif

using namespace rondo;

namespace {

enum class colour : char { red, green };
struct point {
    int x;
    double y;
    bool operator==(const point&) const = default;
};
struct named {
    std::string name;
    point where;
    bool operator==(const named&) const = default;
};

}  // namespace

template <>
struct rondo::serializer<named> {
    static void write(const named& value, std::string& to) {
        rondo::serialize(value.name, to);
        rondo::serialize(value.where, to);
    }
    static named read(rondo::byte_source& from) {
        std::string name = serializer<std::string>::read(from);
        return {std::move(name), serializer<point>::read(from)};
    }
};

namespace {

template <class T>
T there_and_back(const T& value) {
    return deserialize<T>(serialize(value));
}

template <class T>
bool survives(const T& value) {
    return there_and_back(value) == value;
}

TEST_CASE("serialize: values of the built-in types come back unchanged", "[serialize]") {
    CHECK(survives(42));
    CHECK(survives(-1.5));
    CHECK(survives(true));
    CHECK(survives(colour::green));
    CHECK(survives(point{1, 2.5}));
    CHECK(survives(std::string()));
    CHECK(survives(std::string("a\0b", 3)));
    CHECK(survives(std::vector<int>{}));
    CHECK(survives(std::vector<int>{1, 2, 3}));
    CHECK(survives(std::vector<bool>{true, false, true}));
    CHECK(survives(std::vector<std::string>{"a", "", "ccc"}));
    CHECK(survives(std::vector<std::vector<point>>{{{1, 2}}, {}}));
    CHECK(survives(std::optional<std::string>()));
    CHECK(survives(std::optional<std::string>("x")));
    CHECK(survives(std::pair<int, std::string>(1, "y")));
    CHECK(survives(std::tuple<int, std::string, std::vector<char>>(1, "z", {'a'})));
    CHECK(survives(std::tuple<>()));
    CHECK(survives(std::vector<std::tuple<>>(3)));
    CHECK(survives(std::array<std::string, 2>{"p", "q"}));
    CHECK(survives(std::array<int, 3>{1, 2, 3}));
    CHECK(survives(std::monostate()));
    CHECK(survives(named{"n", {3, 4}}));
    CHECK(survives(std::vector<named>{{"n", {3, 4}}, {"m", {5, 6}}}));
    CHECK(survives(std::vector<std::optional<int>>{1, std::nullopt}));
    CHECK(survives(std::vector<std::array<bool, 2>>{{true, false}}));
    CHECK(survives(std::variant<int, double>(2.5)));
    CHECK(survives(std::variant<std::string, named>(named{"n", {3, 4}})));
    CHECK(survives(std::map<std::string, int>{{"a", 1}, {"b", 2}}));
    CHECK(survives(std::unordered_map<int, std::vector<std::string>>{{1, {"x"}}, {2, {}}}));
    CHECK(survives(std::set<std::string>{"a", "b"}));
}

TEST_CASE("serialize: types that point into this process cannot be sent", "[serialize]") {
    STATIC_REQUIRE_FALSE(serializable<int*>);
    STATIC_REQUIRE_FALSE(serializable<std::string_view>);
    STATIC_REQUIRE_FALSE(serializable<std::span<int>>);
    STATIC_REQUIRE_FALSE(serializable<const char*>);
    STATIC_REQUIRE_FALSE(serializable<int point::*>);
    STATIC_REQUIRE_FALSE(serializable<void (*)()>);
    STATIC_REQUIRE_FALSE(serializable<const_buffer>);
    STATIC_REQUIRE_FALSE(serializable<chunk>);
    STATIC_REQUIRE_FALSE(serializable<std::reference_wrapper<int>>);
    STATIC_REQUIRE_FALSE(serializable<std::vector<int*>>);
    STATIC_REQUIRE_FALSE(serializable<std::optional<std::string_view>>);
    STATIC_REQUIRE_FALSE(serializable<std::map<int, const char*>>);
#ifndef RONDO_WITH_CEREAL
    STATIC_REQUIRE_FALSE(serializable<std::unique_ptr<int>>);
#endif
}

TEST_CASE("deserialize: cut off, too long, and a false length", "[serialize]") {
    const std::string bytes = serialize(std::vector<std::string>{"abc", "de"});
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_THROWS_AS(deserialize<std::vector<std::string>>(bytes.substr(0, size)), format_error);
    CHECK_THROWS_WITH(deserialize<std::vector<std::string>>(bytes + "x"),
                      "1 bytes are left over after the value");
    CHECK_THROWS_WITH(deserialize<int>("abc"), "a value of 4 bytes is cut off after 3");
    const std::string lie = serialize(std::uint64_t{1} << 61) + "abc";
    CHECK_THROWS_WITH(deserialize<std::vector<point>>(lie),
                      "2305843009213693952 elements do not fit in the 3 bytes that are left");
    CHECK_THROWS_AS(deserialize<std::string>(lie), format_error);
    CHECK_THROWS_AS(deserialize<std::vector<std::tuple<>>>(lie), format_error);
    CHECK_THROWS_AS((deserialize<std::map<int, int>>(lie)), format_error);
    CHECK_THROWS_WITH(deserialize<bool>("\2"), "a bool that is neither 0 nor 1");
    using either = std::variant<int, double>;
    CHECK_THROWS_WITH(deserialize<either>(serialize(std::uint64_t{2})),
                      "the variant has no such alternative");
}

TEST_CASE("deserialize: 200,000 times randomly changed bytes", "[serialize][fuzz]") {
    using everything =
        std::tuple<std::vector<std::string>, std::optional<std::vector<point>>, std::vector<bool>,
                   std::pair<std::string, std::vector<std::vector<int>>>,
                   std::vector<std::optional<short>>, std::variant<int, std::string>,
                   std::map<std::string, bool>>;
    std::mt19937 random(7);
    const std::string good =
        serialize(everything({"ab", "c"}, std::vector<point>{{1, 2}}, {true}, {"d", {{1}, {2, 3}}},
                             {1, std::nullopt}, "text", {{"yes", true}}));
    int read = 0;
    for (int i = 0; i < 200'000; ++i) {
        std::string bytes = good;
        for (std::size_t flips = random() % 4 + 1; flips != 0; --flips)
            bytes[random() % bytes.size()] =
                static_cast<char>(random() % 3 == 0 ? random() : random() % 4);
        if (random() % 4 == 0) bytes.resize(random() % bytes.size());
        try {
            const auto value = deserialize<everything>(bytes);
            read += std::get<0>(value).size() <= bytes.size() ? 1 : 0;
        } catch (const format_error&) {
        }
    }
    CHECK(read > 1'000);
}

#ifdef RONDO_WITH_CEREAL
/// An empty type that is not trivially copied.
struct empty {
    empty() {}
    ~empty() {}
    empty(const empty&) {}
    empty& operator=(const empty&) = delete;
    template <class Archive>
    void serialize(Archive&) {}
};

struct tree {
    std::string name;
    std::map<std::string, std::shared_ptr<tree>> children;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(name, children);
    }
};

TEST_CASE("serialize: types that cereal serialises", "[serialize]") {
    CHECK(survives(std::map<std::string, int>{{"a", 1}, {"b", 2}}));
    CHECK(survives(std::vector<std::map<int, std::string>>{{{1, "x"}}, {}}));
    tree root{"root", {{"leaf", std::make_shared<tree>(tree{"leaf", {}})}}};
    CHECK(there_and_back(root).children.at("leaf")->name == "leaf");
    const std::string bytes = rondo::serialize(root);
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_THROWS_AS(deserialize<tree>(bytes.substr(0, size)), format_error);
}

/// A linked list: each element is one level deeper.
struct link_of_chain {
    int number = 0;
    std::unique_ptr<link_of_chain> next;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number, next);
    }
};

TEST_CASE("serialize: a value that takes no bytes in cereal takes one here", "[serialize]") {
    CHECK(rondo::serialize(empty()).size() == 1);
    CHECK(there_and_back(std::vector<empty>(3)).size() == 3);
}

TEST_CASE("deserialize: impossible sizes for cereal, and endless chains", "[serialize]") {
    const std::string huge = '\0' + rondo::serialize(~std::uint64_t{0} / 2);
    CHECK_THROWS_AS(deserialize<std::list<std::string>>(huge), format_error);
    std::string deep = '\0' + rondo::serialize(1);
    for (int i = 0; i < 100'000; ++i) deep += '\1' + rondo::serialize(i);
    CHECK_THROWS_WITH(deserialize<link_of_chain>(deep),
                      "the value for cereal is nested too deeply");
}

TEST_CASE("deserialize: an exception of a type that cereal reads becomes a format_error",
          "[serialize]") {
    CHECK(there_and_back(std::bitset<8>(5)) == std::bitset<8>(5));
    const std::string as_text = std::string("\0\2", 2) + rondo::serialize(std::uint64_t{3}) + "0x1";
    CHECK_THROWS_AS(deserialize<std::bitset<8>>(as_text), format_error);
}

template <class T>
int read_flipped(const T& value, int cases) {
    std::mt19937 random(17);
    const std::string good = rondo::serialize(value);
    int read = 0;
    for (int i = 0; i < cases; ++i) {
        std::string bytes = good;
        for (std::size_t flips = random() % 4 + 1; flips != 0; --flips)
            bytes[random() % bytes.size()] =
                static_cast<char>(random() % 3 == 0 ? random() : random() % 4);
        if (random() % 4 == 0) bytes.resize(random() % bytes.size());
        try {
            deserialize<T>(bytes);
            ++read;
        } catch (const format_error&) {
        }
    }
    return read;
}

TEST_CASE("deserialize: 60,000 times randomly changed bytes for cereal", "[serialize][fuzz]") {
    tree root{"root", {{"leaf", std::make_shared<tree>(tree{"leaf", {}})}}};
    CHECK(read_flipped(root, 30'000) > 100);
    CHECK(read_flipped(std::list<std::string>{"ab", "", "c"}, 30'000) > 100);
}
#endif

}  // namespace
