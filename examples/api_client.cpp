// SPDX-License-Identifier: MIT
// A client of the notes that api_server keeps: JSON both ways, a base URL, a status that is
// expected, repetitions, and a log of every request by a middleware.
// Run: api_client URL, such as http://127.0.0.1:8082
#include <exception>
#include <string>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/http/json.hpp>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;
namespace http = rondo::http;

rondo::task<http::response> log_request(http::request_builder request, http::next_request next) {
    auto response = co_await next(request);
    fmt::print("{} {}: {}\n", request.method(), request.url().path(), response.status());
    co_return response;
}

rondo::task<std::string> add_note(http::session& api, std::string text) {
    nlohmann::json note;  // a line of its own: g++ 12 and braces in a co_await are no friends
    note["text"] = text;
    auto response = co_await api.post("/notes").json(note).timeout(5s);
    response.raise_for_status();
    co_return std::string(response.header("location").value());
}

rondo::task<> use_notes(std::string base) {
    http::session api(base);
    api.headers().set("accept", "application/json");
    api.use(log_request);
    const std::string made = co_await add_note(api, "buy milk");
    auto response = co_await api.get("/notes").retries();
    nlohmann::json all = co_await response.json();
    for (const auto& note : all) fmt::print("- {}\n", note.at("text").get<std::string>());
    co_await api.del(made);
    try {
        auto gone = co_await api.get(made);
        gone.raise_for_status();
    } catch (const http::status_error& error) {
        fmt::print("{} is gone: {}\n", made, error.status());
    }
    co_await api.close();
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: {} URL\n", argv[0]);
        return 2;
    }
    try {
        rondo::run(use_notes(argv[1]));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
