// SPDX-License-Identifier: MIT
// A client for tests/run_http_peers.py. Each argument is a step:
//
//     GET URL [KEY=VALUE...]   prints "STATUS BYTES ADLER32 new|kept", or "TYPE: TEXT" of an error
//     wait MILLISECONDS
//
// Keys: body=N and chunked=N (N bytes as a body, with its length or in chunks), range=FIRST-LAST,
// header=NAME:VALUE, times=N (N at once; prints how many were answered by 200), decode=no,
// version=1 or 2 (of HTTP; the version of the response is printed as well).
// Options, before the steps: --ca FILE, --proxy URL.
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <fmt/core.h>

using namespace std::chrono_literals;
namespace http = rondo::http;

namespace {

struct step {
    std::string method, url;
    std::vector<std::pair<std::string, std::string>> options;

    std::string option(std::string_view name) const {
        for (const auto& [key, value] : options)
            if (key == name) return value;
        return {};
    }
};

step parse(std::string_view text) {
    step parsed;
    std::vector<std::string> words;
    for (std::size_t end = 0; !text.empty(); text.remove_prefix(std::min(end + 1, text.size()))) {
        end = std::min(text.find(' '), text.size());
        words.emplace_back(text.substr(0, end));
    }
    parsed.method = words.at(0);
    parsed.url = words.at(1);
    for (std::size_t i = 2; i < words.size(); ++i) {
        const std::size_t equals = words[i].find('=');
        parsed.options.emplace_back(words[i].substr(0, equals), words[i].substr(equals + 1));
    }
    return parsed;
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::uint32_t adler32(std::string_view bytes) {
    std::uint32_t a = 1, b = 0;
    for (const char byte : bytes) {
        a = (a + static_cast<unsigned char>(byte)) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

rondo::async_generator<std::string> pieces(std::uint64_t size) {
    for (std::uint64_t left = size; left > 0;) {
        const std::uint64_t some = std::min<std::uint64_t>(left, 10'000);
        left -= some;
        co_yield std::string(some, 'c');
    }
}

http::request_builder make(http::session& client, const step& wanted) {
    auto request = client.request(wanted.method, wanted.url);
    for (const auto& [key, value] : wanted.options) {
        const std::size_t cut = std::min(value.find_first_of(":-"), value.size());
        const std::string rest = value.substr(std::min(cut + 1, value.size()));
        if (key == "body") request.body(std::string(number(value), 'b'));
        if (key == "chunked") request.body(pieces(number(value)));
        if (key == "range") request.range(number(value), number(rest));
        if (key == "header") request.header(value.substr(0, value.find(':')),
                                            value.substr(value.find(':') + 1));
        if (key == "decode") request.decode(false);
        if (key == "version")
            request.version(value == "2" ? http::version::http_2 : http::version::http_1_1);
    }
    return request;
}

rondo::task<> once(http::session& client, const step& wanted) {
    auto request = make(client, wanted);
    auto response = co_await std::move(request);
    const std::string body = co_await response.bytes();
    const bool is_new = response.timing().connect != rondo::duration::zero();
    fmt::print("{} {} {} {}", response.status(), body.size(), adler32(body),
               is_new ? "new" : "kept");
    if (!wanted.option("version").empty()) fmt::print(" {}", text(response.version()));
    fmt::print("\n");
}

rondo::task<int> is_answered(http::session& client, const step& wanted) {
    auto request = make(client, wanted);
    auto response = co_await std::move(request);
    static_cast<void>(co_await response.bytes());
    co_return response.status() == 200 ? 1 : 0;
}

rondo::task<> at_once(http::session& client, const step& wanted, std::uint64_t times) {
    std::vector<rondo::task<int>> all;
    for (std::uint64_t i = 0; i < times; ++i) all.push_back(is_answered(client, wanted));
    const auto answered = co_await rondo::gather(std::move(all));
    int sum = 0;
    for (const int one : answered) sum += one;
    fmt::print("{} of {}\n", sum, times);
}

template <class Error>
bool says(const char* name, const std::exception& error) {
    if constexpr (!std::is_same_v<Error, std::exception>)
        if (dynamic_cast<const Error*>(&error) == nullptr) return false;
    fmt::print("{}: {}\n", name, error.what());
    return true;
}

void say(const std::exception& error) {
    if (says<http::timeout_error>("timeout_error", error)) return;
    if (says<http::connect_error>("connect_error", error)) return;
    if (says<http::tls_error>("tls_error", error)) return;
    if (says<http::protocol_error>("protocol_error", error)) return;
    if (says<http::body_error>("body_error", error)) return;
    if (says<http::redirect_error>("redirect_error", error)) return;
    says<std::exception>("error", error);
}

rondo::task<> perform(http::session& client, const step& wanted) {
    try {
        const std::string times = wanted.option("times");
        if (times.empty())
            co_await once(client, wanted);
        else
            co_await at_once(client, wanted, number(times));
    } catch (const std::exception& error) {
        say(error);
    }
}

rondo::task<> program(std::vector<std::string> arguments) {
    http::session client;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument == "--ca") {
            client.tls(rondo::tls::client_context().trust_file(arguments.at(++i)));
        } else if (argument == "--proxy") {
            client.proxy(arguments.at(++i));
        } else if (argument.starts_with("wait ")) {
            co_await rondo::sleep(1ms * number(std::string_view(argument).substr(5)));
        } else {
            const step wanted = parse(argument);
            co_await perform(client, wanted);
        }
        std::fflush(stdout);
    }
    co_await client.close();
}

}  // namespace

int main(int argc, char** argv) {
    rondo::run(program(std::vector<std::string>(argv + 1, argv + argc)));
}
