// SPDX-License-Identifier: MIT
// Replies out of bytes: every kind, cut at every place; hostile ones; the words of commands; URLs.
#include <rondo/redis.hpp>

#include <string>
#include <vector>

#include "http/split_ways.hpp"
#include "redis/reply_reader.hpp"
#include "redis/url.hpp"
#include "support/core_tools.hpp"

using namespace rondo;
using rondo::detail::redis_url;
using rondo::detail::redis_words;
using rondo::detail::reply_reader;

namespace {

/// All replies in the pieces of a text, or the error that ends them.
std::string replies_of(const split_ways::pieces& parts, std::size_t most = 4096) {
    reply_reader reader(most);
    std::string all;
    try {
        split_ways::feed(parts, [&](std::string_view bytes) {
            reader.feed(bytes);
            while (auto reply = reader.next()) all += reply->describe() + ";";
        });
    } catch (const redis::protocol_error&) {
        all += "broken";
    }
    return all;
}

std::string replies_in(std::string_view text, std::size_t most = 4096) {
    return replies_of({text}, most);
}

std::string repeated(std::string_view text, std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
}

std::string url_error_of(std::string_view text) {
    try {
        const redis_url url(text);
        return "no error: " + url.name();
    } catch (const redis::url_error& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("redis reader: every kind of reply, cut at every place", "[redis]") {
    const std::string all =
        "+OK\r\n:-42\r\n$5\r\nhe\r\nl\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n-ERR no\r\n"
        "*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n+s\r\n";
    CHECK(split_ways::same_every_way(all, [](const auto& parts) { return replies_of(parts); }) ==
          "OK;-42;\"he\\x0d\\x0al\";nil;nil;[];\"\";error \"ERR no\";[1, [\"a\", nil], s];");
}

TEST_CASE("redis reader: a server that breaks the rules", "[redis]") {
    for (const std::string_view text :
         {"x", "PING\r\n", ":12a\r\n", ":\r\n", ":99999999999999999999\r\n", "$-2\r\n",
          "$99999999999999999999\r\n", "*-2\r\n", "*99999999999\r\n", "*2\r\n:1\r\n!\r\n"}) {
        INFO(text);
        CHECK(split_ways::same_every_way(
                  text, [](const auto& parts) { return replies_of(parts); }) == "broken");
    }
    CHECK(replies_in(repeated("*1\r\n", 20)) == "broken");  // nested too deep for the parser
}

TEST_CASE("redis reader: a reply is bounded before it has come", "[redis]") {
    CHECK(replies_in("$4097\r\n" + std::string(4097, 'x') + "\r\n") == "broken");
    CHECK(replies_in("$2147483647\r\n" + std::string(6000, 'x')) == "broken");
    CHECK(replies_in("*2147483647\r\n" + repeated(":1\r\n", 100)) == "broken");
    CHECK(replies_in("*60\r\n" + repeated(":1\r\n", 60)).size() > 100);
    CHECK(replies_in("*64\r\n" + repeated(":1\r\n", 64)) == "broken");  // 65 elements of 64 bytes
    CHECK(replies_in("+" + std::string(70'000, 'x')) == "broken");
    CHECK(replies_in("$" + std::string(60, '1')) == "broken");
    // The bound is that of one reply.
    CHECK(replies_in(repeated("$1000\r\n" + std::string(1000, 'x') + "\r\n", 20)).size() > 20'000);
}

TEST_CASE("redis values: what they are, and an error if they are something else", "[redis]") {
    const redis::value text("5"), number(7), nil;
    CHECK(text == "5");
    CHECK(text == std::string("5"));
    CHECK(text.number() == 5);
    CHECK(number == 7);
    CHECK(number.number() == 7);
    CHECK_FALSE(number == "7");
    CHECK(nil.is_nil());
    CHECK(nil.size() == 0);
    const redis::value list(std::vector<redis::value>{"name", 1, "other", "x"});
    REQUIRE(list.find("other") != nullptr);
    CHECK(*list.find("other") == "x");
    CHECK(list.find("x") == nullptr);
    CHECK(list[1] == 1);
    CHECK(list == redis::value(list));
    CHECK_THROWS_WITH(list[4], "the reply is a list of 4, without element 4");
    CHECK_THROWS_WITH(nil.text(), "the reply is nil, and not a text");
    CHECK_THROWS_WITH(list.number(), "the reply is a list, and not a number");
    CHECK_THROWS_WITH(text.list(), "the reply is a text, and not a list");
    CHECK_THROWS_AS(redis::value("five").number(), redis::error);
}

TEST_CASE("redis words: texts, numbers and ranges, and a name of several words", "[redis]") {
    redis_words words("config  get");
    words.add("a\r\nb");
    words.add(-7);
    words.add(2.5);
    words.add(std::vector<std::string>{"x", ""});
    CHECK(words.head() == "*7\r\n");
    CHECK(words.body() ==
          "$6\r\nconfig\r\n$3\r\nget\r\n$4\r\na\r\nb\r\n$2\r\n-7\r\n$3\r\n2.5\r\n$1\r\nx\r\n"
          "$0\r\n\r\n");
    CHECK(words.name() == "CONFIG");
    CHECK(words.word(1) == "get");
    CHECK(words.word(6).empty());
    CHECK(words.word(9).empty());
    CHECK_THROWS_AS(redis_words(" "), redis::error);
    CHECK(detail::redis_word(~0ULL).text() == "18446744073709551615");
}

TEST_CASE("redis URLs: parts and defaults", "[redis]") {
    const redis_url plain("redis://");
    CHECK(plain.name() == "localhost:6379/0");
    const redis_url whole("rediss://ada:p%40ss@example.org:7000/3");
    CHECK(whole.is_secure());
    CHECK(whole.user() == "ada");
    CHECK(whole.password() == "p@ss");
    CHECK(whole.name() == "example.org:7000/3");
    CHECK(redis_url("redis://:secret@[::1]:7/").name() == "[::1]:7/0");
    CHECK(redis_url("redis://h?db=4").database() == 4);
    const redis_url local("unix://ada:x@/run/a%20b.sock?db=2");
    CHECK(local.path() == "/run/a b.sock");
    CHECK(local.password() == "x");
    CHECK(local.database() == 2);
    CHECK(redis_url("redis+unix:///run/r.sock").is_unix());
}

TEST_CASE("redis URLs: errors say what is wrong, and never the password", "[redis]") {
    for (const std::string_view text :
         {"localhost:6379", "http://x", "redis://:secret@h:0", "redis://:secret@h:70000",
          "redis://:secret@h/x", "redis://:secret@h?timeout=1", "redis://u:secret%4@h",
          "redis://:secret@h o", "redis://:secret@[::1", "unix://:secret@run/r.sock", "unix://",
          "redis://:sec/ret@h"}) {
        const std::string why = url_error_of(text);
        INFO(text << ": " << why);
        CHECK(why.starts_with("the URL of a Redis server: "));
        CHECK(why.find("sec") == std::string::npos);
    }
}
