// SPDX-License-Identifier: MIT
// Tests examples/adapters/curl_session.hpp against the server that RONDO_HTTP names
// (run_adapters.py starts it): /big is a megabyte, /slow is the same megabyte at a kilobyte a
// second.
#include "../../examples/adapters/curl_session.hpp"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "cancel_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

const std::string server = std::getenv("RONDO_HTTP") ? std::getenv("RONDO_HTTP") : "";
const bool curl_is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;

std::size_t count(char*, std::size_t, std::size_t bytes, void* total) noexcept {
    *static_cast<std::size_t*>(total) += bytes;
    return bytes;
}

/// A handle that counts the received bytes.
class transfer {
public:
    explicit transfer(const std::string& path) : easy_(curl_easy_init()) {
        REQUIRE(curl_is_ready);
        curl_easy_setopt(easy(), CURLOPT_URL, (server + path).c_str());
        curl_easy_setopt(easy(), CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy(), CURLOPT_NOPROXY, "*");
        curl_easy_setopt(easy(), CURLOPT_WRITEFUNCTION, &count);
        curl_easy_setopt(easy(), CURLOPT_WRITEDATA, bytes_.get());
    }
    CURL* easy() const { return easy_.get(); }
    std::size_t bytes() const { return *bytes_; }

private:
    struct clean_up {
        void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    };
    std::unique_ptr<std::size_t> bytes_ = std::make_unique<std::size_t>(0);
    std::unique_ptr<CURL, clean_up> easy_;
};

task<> get(curl_session* session, std::string path) {
    transfer one(path);
    co_await session->perform(one.easy());
}

}  // namespace

RONDO_TEST("curl: transfers run at the same time, and every byte comes", "[kernel]",
           rondo_tests::limit(30s)) {
    curl_session session;
    std::vector<transfer> transfers;
    for (int i = 0; i < 24; ++i) transfers.emplace_back(i % 2 == 0 ? "/small" : "/big");
    std::vector<task<>> running;
    for (const transfer& one : transfers) running.push_back(session.perform(one.easy()));
    const auto all_at_once = [](curl_session* s) -> task<> {
        while (s->transfers() < 24) co_await yield_now();
    };
    running.push_back(all_at_once(&session));
    co_await gather(std::move(running));
    for (std::size_t i = 0; i < transfers.size(); ++i)
        CHECK(transfers[i].bytes() == (i % 2 == 0 ? 6u : 1u << 20));
    CHECK(session.transfers() == 0);
    co_await session.perform(transfers[0].easy());  // again, over the open connection
    CHECK(transfers[0].bytes() == 12);
    long connections = -1;
    curl_easy_getinfo(transfers[0].easy(), CURLINFO_NUM_CONNECTS, &connections);
    CHECK(connections == 0);
}

RONDO_TEST("curl: a server that is not there", "[kernel]") {
    curl_session session;
    transfer nowhere("/");
    curl_easy_setopt(nowhere.easy(), CURLOPT_URL, "http://127.0.0.1:1/");
    try {
        co_await session.perform(nowhere.easy());
        FAIL("nobody listens there");
    } catch (const curl_error& error) {
        CHECK(error.code == CURLE_COULDNT_CONNECT);
        CHECK(std::string(error.what()).find("perform http://127.0.0.1:1/: ") == 0);
    }
}

RONDO_TEST("curl: transfers end in all three forms of a cancellation", "[kernel]",
           rondo_tests::limit(30s)) {
    curl_session session;
    const auto slow = [&] { return get(&session, "/slow"); };
    const auto small = [&] { return get(&session, "/small"); };
    co_await rondo_tests::check_cancelled_before(small);
    co_await rondo_tests::check_cancelled_while_suspended(slow);
    CHECK(session.transfers() == 0);
    co_await rondo_tests::check_cancelled_when_ready(small);
    CHECK(session.transfers() == 0);
    co_await small();
}

RONDO_TEST("curl: one that is cancelled half way leaves the others alone", "[kernel]",
           rondo_tests::limit(30s)) {
    curl_session session;
    transfer slow("/slow");
    transfer big("/big");
    auto cut = create_task(session.perform(slow.easy()));
    auto whole = create_task(session.perform(big.easy()));
    while (slow.bytes() == 0) co_await sleep(1ms);
    cut.cancel();
    CHECK_THROWS_AS(co_await cut, future_cancelled);
    co_await whole;
    CHECK(slow.bytes() < 1u << 20);
    CHECK(big.bytes() == 1u << 20);
}

RONDO_TEST("curl: libcurl's own time limit comes by the loop's timers", "[kernel]",
           rondo_tests::limit(30s)) {
    curl_session session;
    transfer slow("/slow");
    curl_easy_setopt(slow.easy(), CURLOPT_TIMEOUT_MS, 50L);
    try {
        co_await session.perform(slow.easy());
        FAIL("a megabyte takes a quarter of an hour");
    } catch (const curl_error& error) {
        CHECK(error.code == CURLE_OPERATION_TIMEDOUT);
    }
}
