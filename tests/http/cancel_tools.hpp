// SPDX-License-Identifier: MIT
// Cancels requests of a session again and again, each time at another moment, and looks whether
// its pool is whole. For HTTP/1.1 and HTTP/2, on the simulator.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>

#include <rondo/http.hpp>

#include "http/scripted_server.hpp"
#include "support/tls_tools.hpp"

namespace rondo_tests {

/// RONDO_HTTP_CANCELS is the number of cancels over plain HTTP, in all seeds. A test takes one of
/// `share` of them, over TLS one of a hundred.
inline unsigned wanted_cancels(bool secure, unsigned share = 1) {
    const char* const text = std::getenv("RONDO_HTTP_CANCELS");
    if (text == nullptr) return secure ? 60 : 600;
    const auto all = static_cast<unsigned>(std::strtoul(text, nullptr, 10));
    return std::max(4U, all / (secure ? 100 : share));
}
inline how for_cancels(bool secure, unsigned share = 1) {
    using namespace std::chrono_literals;
    return seeds(4).limit(60s + 1s * (wanted_cancels(secure, share) / (secure ? 100 : 1000)));
}

inline void must_be(const std::string& found, const std::string& wanted) {
    if (found != wanted) FAIL("other bytes: " << found.substr(0, 100));
}

inline rondo::task<> ask_in_vain(rondo::http::session& client, std::string url) {
    try {
        co_await ask(client, url);
    } catch (const rondo::http::error&) {
    }
}

/// `first(client)` takes another time with each seed. `ask_some(client, dice)` makes several
/// requests at a time and checks their bytes; `check_whole(client)` looks at the pool between.
template <class Server, class First, class Round, class CheckWhole>
rondo::task<> cancel_at_any_moment(Server& server, rondo::http::session_options options,
                                   bool secure, unsigned share, First first, Round ask_some,
                                   CheckWhole check_whole) {
    using namespace std::chrono_literals;
    if (secure) server.secure(localhost_context());
    options.connections_per_host = 2;
    co_await server.run([&]() -> rondo::task<> {
        rondo::http::session client(options);
        if (secure) client.tls(trusting_context());
        auto beginning = first(client);
        co_await std::move(beginning);
        const auto now = rondo::running_loop().time().time_since_epoch();
        std::mt19937 dice(static_cast<unsigned>(now.count()));
        const unsigned wanted = wanted_cancels(secure, share) / 4;  // seeds
        unsigned cancels = 0;
        for (unsigned rounds = 0; cancels < wanted; ++rounds) {
            const rondo::duration when = 1us * (dice() % (rounds % 4 == 0 ? 5000 : 900));
            auto asking = ask_some(client, dice);
            const bool ended = co_await rondo::move_on_after(when, std::move(asking));
            if (!ended) ++cancels;
            REQUIRE(client.connections() <= 2);
            if (rounds % 64 == 0) co_await check_whole(client);
        }
        co_await check_whole(client);
        const std::string large = co_await text_of(client, server.url("/large"));
        CHECK(large.size() == 200'000);
        co_await rondo::sleep(5s);
        CHECK(client.connections() == 0);
        CHECK(server.open == 0);
    });
}

}  // namespace rondo_tests
