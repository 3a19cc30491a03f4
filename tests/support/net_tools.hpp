// SPDX-License-Identifier: MIT
// Shared tools of the tests of streams: two ends of one connection, bytes that show their position,
// and the three forms of a cancellation: before the wait begins, while it lasts, and as it ends.
#pragma once

#include <string>
#include <utility>

#include <rondo/connect.hpp>
#include <rondo/future.hpp>
#include <rondo/net.hpp>

#include "support/rondo_test.hpp"

namespace rondo_tests {

/// Bytes whose value depends on their position.
inline std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 131 + i / 257) % 251);
    return text;
}

/// One connection: the side that connected, and the side that was accepted.
class connection {
public:
    rondo::tcp_stream client;
    rondo::tcp_stream server;
    connection(rondo::tcp_stream c, rondo::tcp_stream s)
        : client(std::move(c)), server(std::move(s)) {}
};

inline rondo::task<connection> connect_pair() {
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    rondo::tcp_stream client = co_await rondo::connect_tcp(listener.local());
    rondo::tcp_stream server = co_await listener.accept();
    co_return connection(std::move(client), std::move(server));
}

/// Reads up to the end of the stream.
inline rondo::task<std::string> read_to_end(rondo::byte_stream& stream, std::size_t step = 4096) {
    std::string all, buffer(step, '\0');
    while (auto chunk = co_await stream.read_some(buffer)) all.append(chunk.data(), chunk.size());
    co_return all;
}

enum class form { before, waiting, racing };

/// Runs `body` and cancels it in that form. True if it ended by the cancellation, false if it had
/// its value.
template <class Body>
rondo::task<bool> cancel_in_form(form how, Body& body, rondo::duration when) {
    auto start_cancelled = [&]() -> rondo::task<> {
        try {
            co_await rondo::sleep(std::chrono::hours(1));
        } catch (const rondo::cancelled&) {
        }
        co_await body();  // cancellation is level-triggered: this throws again
    };
    rondo::future<> running =
        how == form::before ? rondo::create_task(start_cancelled()) : rondo::create_task(body());
    if (how != form::racing) co_await rondo::sleep(std::chrono::milliseconds(1));
    if (how == form::racing) co_await rondo::sleep(when);
    running.cancel();
    try {
        co_await running;
    } catch (const rondo::future_cancelled&) {
        co_return true;
    }
    co_return false;
}

/// For a body that cannot end by itself: both forms must end it by the cancellation.
template <class Body>
rondo::task<> must_be_cancellable(Body& body) {
    const bool before = co_await cancel_in_form(form::before, body, {});
    REQUIRE(before);
    const bool waiting = co_await cancel_in_form(form::waiting, body, {});
    REQUIRE(waiting);
}

/// The text of the exception that `task` throws.
template <class E, class T>
rondo::task<std::string> text_of_failure(rondo::task<T> failing) {
    try {
        co_await std::move(failing);
    } catch (const E& error) {
        co_return error.what();
    }
    co_return "nothing was thrown";
}

}  // namespace rondo_tests
