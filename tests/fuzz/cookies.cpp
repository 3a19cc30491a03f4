// SPDX-License-Identifier: MIT
// Cookies: lines of set-cookie from one host. Nothing that ends a field is sent back, no other
// host gets them, and the file of a jar is read as the same jar.
#include <rondo/http/cookies.hpp>

#include <string>

#include "fuzz/fuzz.hpp"

using rondo::http::cookie_jar;
using rondo::http::url;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const url from("https://www.example.org/a/b"), other("https://www.example.com/a/b");
    const rondo::http::date_time now(std::chrono::seconds(1'700'000'000));
    std::string_view text = fuzz::text_of(data, size);
    cookie_jar jar;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        jar.receive(from, line, now);
        text.remove_prefix(line.size() < text.size() ? line.size() + 1 : text.size());
    }
    const std::string sent = jar.header(from, now);
    fuzz::expect(rondo::http::is_field_value(sent), "what is sent is a value of a field");
    fuzz::expect(jar.header(other, now).empty(), "no other host gets them");
    for (const rondo::http::cookie& each : jar) {
        fuzz::expect(!each.expires || *each.expires > now, "what has ended is not kept");
        fuzz::expect(each.domain == "www.example.org" || each.domain == "example.org",
                     "the domain is the host's");
        fuzz::expect(!each.path.empty() && each.path.front() == '/', "a path begins with a slash");
    }
    cookie_jar again;
    again.load(jar.text());
    fuzz::expect(again.text() == jar.text(), "the file is read as the same jar");
    fuzz::expect(again.header(from, now) == sent, "the loaded jar sends the same");

    cookie_jar loaded;
    try {
        loaded.load(fuzz::text_of(data, size));
    } catch (const rondo::http::error&) {
    }
    fuzz::expect(rondo::http::is_field_value(loaded.header(from, now)),
                 "a file cannot end a field");
    return 0;
}
