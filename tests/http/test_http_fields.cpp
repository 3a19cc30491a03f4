// SPDX-License-Identifier: MIT
// Header fields, and the lists and parameters in their values.
#include <rondo/http/fields.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

using rondo::http::fields;

namespace {

std::string text_of(const fields& all) {
    std::string text;
    for (const auto& [name, value] : all) ((((text += name) += '=') += value) += ';');
    return text;
}

}  // namespace

TEST_CASE("fields: ordered, repeated ones kept, case ignored", "[http_fields]") {
    fields all;
    CHECK(all.empty());
    all.add("Accept", "a").add("Via", "1").add("via", "2").add("X", "");
    CHECK(text_of(all) == "Accept=a;Via=1;via=2;X=;");
    CHECK(all.size() == 4);
    CHECK(all.get("VIA") == "1");
    CHECK(all.get_all("via") == std::vector<std::string_view>{"1", "2"});
    CHECK(all.joined("via") == "1, 2");
    CHECK(all.contains("x"));
    CHECK_FALSE(all.get("y").has_value());
    CHECK(all.joined("y").empty());

    all.set("via", " 3\t");
    CHECK(text_of(all) == "Accept=a;via=3;X=;");
    all.set("New", "n");
    CHECK(all.erase("ACCEPT") == 1);
    CHECK(all.erase("Accept") == 0);
    CHECK(text_of(all) == "via=3;X=;New=n;");
    fields same;
    same.add("VIA", "3").add("X", "").add("new", "n");
    CHECK(all == same);
    all.clear();
    CHECK(all.empty());
}

TEST_CASE("fields: a view of their own text may be given", "[http_fields]") {
    fields all;
    all.add("a", "1").add("b", std::string(1000, 'x'));
    for (int i = 0; i < 20; ++i) all.add("c", *all.get("b"));
    CHECK(all.get_all("c").size() == 20);
    CHECK(all.get_all("c")[19] == std::string(1000, 'x'));
    all.set("a", *all.get("b"));
    CHECK(all.get("a") == *all.get("b"));
    const auto [name, value] = *all.begin();
    all.set(name, value);
    CHECK(all.get("a")->size() == 1000);
    CHECK(all.erase((*all.begin()).name) == 1);
}

TEST_CASE("fields: a field that is set again and again stays small", "[http_fields]") {
    fields all;
    all.set("keep", "this");
    for (int i = 0; i < 10000; ++i) all.set("counter", std::to_string(i));
    CHECK(text_of(all) == "keep=this;counter=9999;");
    CHECK(all.get("keep")->data() + 1000 > all.get("counter")->data());  // no gap of old values
}

TEST_CASE("fields: what could end a line is refused", "[http_fields]") {
    for (int byte = 0; byte < 256; ++byte) {
        const std::string text = "a" + std::string(1, static_cast<char>(byte)) + "b";
        const bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        const bool is_name = rondo::http::is_token(text);
        CHECK(is_name == (byte > 0x20 && byte < 0x7f &&
                          std::string_view("\"(),/:;<=>?@[\\]{}").find(static_cast<char>(byte)) ==
                              std::string_view::npos));
        fields all;
        if (is_control)
            CHECK_THROWS_AS(all.set("name", text), rondo::http::error);
        else
            CHECK(all.set("name", text).get("name") == text);
        if (is_name)
            CHECK(all.set(text, "value").contains(text));
        else
            CHECK_THROWS_AS(all.add(text, "value"), rondo::http::error);
    }
    fields all;
    CHECK_THROWS_AS(all.add("", "x"), rondo::http::error);
    CHECK_THROWS_WITH(all.set("authorization", "secret\n"),
                      Catch::Contains("authorization") && !Catch::Contains("secret"));
    CHECK(all.empty());
}

TEST_CASE("fields: tokens in lists", "[http_fields]") {
    fields all;
    all.add("Connection", "keep-alive, X-Close").add("connection", " ,\"close, x\" ,, Upgrade");
    CHECK(all.has_token("connection", "UPGRADE"));
    CHECK(all.has_token("connection", "keep-alive"));
    CHECK_FALSE(all.has_token("connection", "close"));
    CHECK_FALSE(all.has_token("te", "close"));
    CHECK(rondo::http::split_list(" a , ,\"b,\\\",c\";q=1,d ") ==
          std::vector<std::string_view>{"a", "\"b,\\\",c\";q=1", "d"});
    CHECK(rondo::http::split_list("").empty());
    CHECK(rondo::http::split_list(",,").empty());
    CHECK(rondo::http::split_list("\"open, x").size() == 1);
}

TEST_CASE("fields: parameters of a value", "[http_fields]") {
    using rondo::http::parameters;
    const parameters type(" text/html ; Charset=\"utf-8\";q=1 ; x ;; y=\"a\\\"b;c\" z; =w");
    CHECK(type.value() == "text/html");
    CHECK(type.get("charset") == "utf-8");
    CHECK(type.get("Q") == "1");
    CHECK(type.get("x") == "");
    CHECK(type.get("y") == "a\"b;c");
    CHECK_FALSE(type.get("z").has_value());
    CHECK(type.all().size() == 4);
    CHECK(parameters("a").value() == "a");
    CHECK(parameters("").value().empty());
    CHECK(parameters(";a=b").get("a") == "b");
    CHECK(parameters("a; b=\"open").get("b") == "open");
    CHECK(rondo::http::quoted("token") == "token");
    CHECK(rondo::http::quoted("a \"b\\") == "\"a \\\"b\\\\\"");
    CHECK(rondo::http::quoted("") == "\"\"");
    CHECK(parameters("x; y=" + rondo::http::quoted("a;\"\\,=")).get("y") == "a;\"\\,=");
    CHECK_THROWS_AS(rondo::http::quoted("a\nb"), rondo::http::error);
}
