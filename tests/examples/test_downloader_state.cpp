// SPDX-License-Identifier: MIT
// The accounts of rondo-get: ranges, the state of an unfinished file, rates, failures, and
// what a response is worth. No network, no disk.
#include <string>
#include <string_view>
#include <vector>

#include <rondo/http/error.hpp>

#include "../../examples/downloader/failure.hpp"
#include "../../examples/downloader/helping.hpp"
#include "../../examples/downloader/rate.hpp"
#include "../../examples/downloader/remote.hpp"
#include "../../examples/downloader/segments.hpp"
#include "../../examples/downloader/sidecar.hpp"
#include "support/catch.hpp"

using namespace downloader;
using namespace std::chrono_literals;
namespace http = rondo::http;

namespace {

using ranges = std::vector<byte_range>;

saved_state example_state() {
    saved_state state;
    state.url = "http://host/a.iso";
    state.etag = "\"abc\"";
    state.modified = "Sun, 06 Nov 1994 08:49:37 GMT";
    state.length = 1000;
    state.inode = 42;
    state.done = {{0, 100}, {200, 1000}};
    return state;
}

std::string changed(std::string text, std::string_view from, std::string_view to) {
    return text.replace(text.find(from), from.size(), to);
}

http::fields fields_of(std::initializer_list<std::pair<const char*, const char*>> all) {
    http::fields result;
    for (const auto& [name, value] : all) result.add(name, value);
    return result;
}

}  // namespace

TEST_CASE("segments: what is there, and what is to come", "[downloader]") {
    segments fresh(1000);
    CHECK(fresh.bytes_left() == 1000);
    CHECK(fresh.done().empty());
    const auto only = fresh.take();
    REQUIRE(only);
    CHECK(fresh.reach(*only, 300) == 300);
    CHECK(fresh.done() == ranges{{0, 300}});

    segments resumed(1000, {{0, 100}, {500, 600}});
    CHECK(resumed.bytes_left() == 800);
    CHECK(resumed.count() == 2);
    CHECK(resumed.done() == ranges{{0, 100}, {500, 600}});
    CHECK(segments(1000, {{0, 1000}}).is_complete());
    CHECK(segments(0).is_complete());
    CHECK(segments(0).done().empty());
}

TEST_CASE("segments: a file is cut into ranges of a least size", "[downloader]") {
    segments four(1000);
    four.split(4, 10);
    CHECK(four.count() == 4);
    ranges taken;
    while (const auto number = four.take()) {
        if (taken.size() == 4) break;
        taken.push_back({four.position(*number), four.end(*number)});
    }
    CHECK(taken == ranges{{0, 250}, {250, 500}, {500, 750}, {750, 1000}});

    segments least(1000);
    least.split(100, 300);
    CHECK(least.count() == 2);
}

TEST_CASE("segments: a task that has nothing to do takes half of what another one fetches",
          "[downloader]") {
    segments file(1000);
    file.split(2, 100);
    const auto a = file.take();
    const auto b = file.take();
    REQUIRE((a && b));
    CHECK(file.reach(*b, 1000) == 500);
    file.give_back(*b);
    CHECK_FALSE(file.take());
    const std::size_t c = file.take_half(*a);
    CHECK(file.position(c) == 250);
    CHECK(file.end(c) == 500);
    CHECK(file.end(*a) == 250);
    CHECK(file.reach(*a, 9999) == 250);  // the bytes that follow are no longer its own
    CHECK(file.position(*a) == 250);
    CHECK(file.done() == ranges{{0, 250}, {500, 1000}});
    file.reach(c, 350);
    CHECK_FALSE(file.take());
    file.give_back(c);
    CHECK(file.take() == c);  // after a failure it goes on where the other was
    CHECK(file.position(c) == 350);
}

TEST_CASE("segments: of a shared segment the bytes count that come first", "[downloader]") {
    segments file(1000);
    const auto shared = file.take();
    REQUIRE(shared);
    CHECK(file.reach(*shared, 100) == 100);
    file.share(*shared);
    CHECK(file.tasks(*shared) == 2);
    CHECK(file.reach(*shared, 300) == 200);
    CHECK(file.reach(*shared, 200) == 0);  // the other one
    CHECK(file.reach(*shared, 400) == 100);
    file.give_back(*shared);
    CHECK_FALSE(file.take());
    file.give_back(*shared);
    CHECK(file.take() == shared);
    CHECK(file.position(*shared) == 400);
}

TEST_CASE("segments: an unknown length is known at the end", "[downloader]") {
    segments file;
    const auto number = file.take();
    REQUIRE(number);
    CHECK_FALSE(file.take());
    file.reach(*number, 123);
    file.ends_at(*number);
    CHECK(file.is_complete());
    CHECK(file.length() == 123);
    CHECK(file.done() == ranges{{0, 123}});
}

TEST_CASE("segments: whatever is taken, cut, shared and given back, each byte counts once",
          "[downloader]") {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        unsigned state = seed;
        const auto random = [&](std::size_t below) {
            state = state * 1664525 + 1013904223;
            return (state >> 8) % static_cast<unsigned>(below);
        };
        segments file(5000);
        file.split(1 + random(5), 1 + random(300));
        std::vector<int> times(5000);
        std::vector<std::size_t> taken;
        while (!file.is_complete()) {
            const std::size_t which = taken.empty() ? 0 : random(taken.size());
            const unsigned what = random(8);
            if (what < 3 || taken.empty()) {
                if (const auto more = file.take()) taken.push_back(*more);
            } else if (what == 3 && file.left(taken[which]) >= 2) {
                taken.push_back(file.take_half(taken[which]));
            } else if (what == 4) {
                file.share(taken[which]);
                taken.push_back(taken[which]);
            } else {
                const std::size_t number = taken[which];
                const std::uint64_t at = file.position(number);
                const std::uint64_t fresh = file.reach(number, at + random(500) - 100);
                for (std::uint64_t i = 0; i < fresh; ++i) ++times[at + i];
                if (file.left(number) == 0 || random(8) == 0) {
                    file.give_back(number);
                    taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(which));
                }
            }
        }
        for (const int count : times)
            if (count != 1) FAIL("seed " << seed << ": a byte counted " << count << " times");
    }
}

TEST_CASE("helping: a task that gets no byte is helped after a while", "[downloader]") {
    segments file(5 * piece_bytes);
    file.split(2, piece_bytes);
    std::vector<pace> tasks(3);
    for (std::size_t i = 0; i < 2; ++i) {
        tasks[i].mirror = i;
        tasks[i].begin(file.take().value(), 1s);
    }
    const auto found = [&](pace::time now, bool is_crowded = false) {
        return find_help(2, tasks, file, now, is_crowded);
    };
    tasks[0].waits_since.reset();  // its bytes are being written
    CHECK_FALSE(found(1s + 299ms));
    REQUIRE(found(1s + 300ms));
    CHECK(found(1s + 300ms)->is_shared);
    CHECK(found(1s + 300ms)->segment == tasks[1].segment);
    CHECK(found(2s, true));  // of another mirror
    tasks[2].mirror = 1;
    CHECK(found(2s));
    CHECK_FALSE(found(2s, true));  // the request may be waiting for a connection
    tasks[1].has_answer = true;
    CHECK(found(2s, true));
    tasks[2].patience *= 2;  // the help before was not needed
    CHECK_FALSE(found(1s + 599ms));
    // Another task of the same mirror helps in vain: only one of another mirror can.
    tasks.emplace_back();
    tasks[3].mirror = 1;
    tasks[3].begin(*tasks[1].segment, 9s);
    file.share(*tasks[1].segment);
    tasks[2].mirror = 0;
    CHECK_FALSE(found(9s + 599ms));
    CHECK(found(9s + 600ms));
    tasks[2].mirror = 1;
    CHECK_FALSE(found(20s));
}

TEST_CASE("helping: half of the rest is taken from a task that is slow", "[downloader]") {
    segments file(10 * piece_bytes);
    file.split(2, piece_bytes);
    std::vector<pace> tasks(3);
    const auto at_work = [&](std::size_t number, std::size_t mirror, std::uint64_t bytes) {
        pace& task = tasks[number];
        task.mirror = mirror;
        if (!task.segment) task.begin(file.take().value(), 0s);
        file.reach(*task.segment, file.position(*task.segment) + bytes);
        task.bytes += bytes;
        task.waits_since.reset();
    };
    const auto found = [&](pace::time now) { return find_help(2, tasks, file, now, false); };
    at_work(0, 0, piece_bytes);
    at_work(1, 1, piece_bytes / 2);
    REQUIRE(found(1s));  // long ranges of 4 and 4.5 MiB that need 4 and 9 s
    CHECK_FALSE(found(1s)->is_shared);
    CHECK(found(1s)->segment == tasks[1].segment);
    CHECK_FALSE(found(100ms));  // 0.4 and 0.9 s
    at_work(0, 0, 3 * piece_bytes);
    at_work(1, 1, 3 * piece_bytes);
    CHECK(found(10s)->segment == tasks[1].segment);  // of another mirror: a try is worth it
    tasks[2].mirror = 1;
    CHECK(found(10s)->segment == tasks[0].segment);
    const auto rate = [&](std::uint64_t bytes) {
        tasks[2].begin(*tasks[0].segment, 0s);
        tasks[2].bytes = bytes;
        tasks[2].end(1s);
    };
    rate(piece_bytes);  // hardly faster than the others
    CHECK_FALSE(found(10s));
    rate(4 * piece_bytes);
    CHECK(found(10s)->segment == tasks[1].segment);
    CHECK_FALSE(found(1s));
}

TEST_CASE("pace: a slow connection is read every few milliseconds", "[downloader]") {
    pace task;
    task.begin(0, 1s);
    const auto pause = [&](std::size_t came, std::uint64_t left, pace::time now) {
        return task.pause(came, left, now);
    };
    task.bytes = 1'000'000;
    CHECK(pause(1448, piece_bytes, 1s + 499ms) == 0s);  // it may become faster
    CHECK(pause(1448, piece_bytes, 1s + 500ms) == 4ms);
    CHECK(pause(16 * 1024, piece_bytes, 1s + 500ms) == 0s);  // much has come already
    CHECK(pause(1448, 64 * 1024, 1s + 500ms) == 0s);         // the end is not held up
    task.bytes = 4'000'000;
    CHECK(pause(1448, piece_bytes, 2s) == 0s);
    CHECK(pause(1448, piece_bytes, 2s + 1ms) == 4ms);
}

TEST_CASE("state: is read as it was written", "[downloader]") {
    saved_state state = example_state();
    CHECK(parse_state(state_text(state)) == state);
    state.done.clear();
    state.etag.clear();
    CHECK(parse_state(state_text(state)) == state);
    state.modified.clear();
    CHECK(parse_state(state_text(state)) == state);
}

TEST_CASE("state: anything else is nothing", "[downloader]") {
    const std::string good = state_text(example_state());
    for (std::size_t size = 0; size < good.size(); ++size) {
        INFO("cut after " << size);
        CHECK_FALSE(parse_state(std::string_view(good).substr(0, size)));
    }
    CHECK_FALSE(parse_state(good + "\n"));
    CHECK_FALSE(parse_state(good + good));
    const std::vector<std::pair<std::string_view, std::string_view>> wrong = {
        {"rondo-get 1", "rondo-get 2"},
        {"0-100", "0-1001"},
        {"0-100", "100-100"},
        {"0-100", "0-250"},
        {"0-100", "0-200"},
        {"200-1000", "100-0"},
        {"200-1000", "200-1000 "},
        {"200-1000", "0x1-2"},
        {"200-1000", "-"},
        {"200-1000", "none"},
        {"length 1000", "length -1"},
        {"length 1000", "length 99999999999999999999"},
        {"inode 42\n", ""},
        {"url http://host/a.iso\n", ""},
        {"\"abc\"", "\"a\x1b\""},
        {"end .", "end"},
        {"etag", "Etag"},
        {"length", "modified x\nlength"}};
    for (const auto& [from, to] : wrong) {
        INFO(from << " -> " << to);
        CHECK_FALSE(parse_state(changed(good, from, to)));
    }
    CHECK_FALSE(parse_state(std::string(state_bytes_max + 1, 'x')));
    for (unsigned byte = 0; byte < 256; ++byte)
        for (std::size_t at = 0; at < good.size(); at += 7) {
            std::string text = good;
            text[at] = static_cast<char>(byte);
            if (const auto state = parse_state(text))
                for (const byte_range& range : state->done)
                    if (range.begin >= range.end || range.end > state->length) FAIL(text);
        }
}

TEST_CASE("remote file: which validators identify it", "[downloader]") {
    const auto described = [](const http::fields& headers) {
        return describe({200, headers, std::uint64_t{10}});
    };
    const http::fields strong = fields_of({{"etag", "\"a\""},
                                           {"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                                           {"date", "Sun, 06 Nov 1994 08:49:38 GMT"},
                                           {"accept-ranges", "bytes"}});
    CHECK(described(strong).validator() == "\"a\"");
    CHECK(described(strong).modified == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(described(strong).takes_ranges);
    const http::fields weak = fields_of({{"etag", "W/\"a\""},
                                         {"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                                         {"date", "Sun, 06 Nov 1994 08:49:37 GMT"}});
    CHECK(described(weak).validator() == "");
    CHECK(described(weak).date == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK_FALSE(described(weak).takes_ranges);
    for (const char* tag : {"", "a", "\"", "\"a"})
        CHECK(described(fields_of({{"etag", tag}})).validator() == "");
    const std::string longest = "\"" + std::string(500, 'x') + "\"";
    CHECK(described(fields_of({{"etag", longest.c_str()}})).validator() == "");

    CHECK(is_same(described(strong), described(strong)));
    CHECK_FALSE(is_same(described(weak), described(weak)));
    remote_file longer = described(strong);
    longer.length = 11;
    CHECK_FALSE(is_same(described(strong), longer));
    remote_file other = described(strong);
    other.etag = "\"b\"";  // of the same second
    CHECK_FALSE(is_same(described(strong), other));
}

TEST_CASE("response: what it is worth", "[downloader]") {
    const http::fields none;
    const auto judged = [&](int status, byte_range wanted, const char* range = nullptr) {
        const http::fields headers =
            range == nullptr ? none : fields_of({{"content-range", range}});
        return judge({status, headers, std::nullopt}, wanted);
    };
    CHECK(judged(200, all_bytes) == answer::whole);
    CHECK(judged(203, all_bytes) == answer::whole);
    for (const int status : {201, 204, 206, 300, 304, 404, 416, 500})
        CHECK(judged(status, all_bytes) == answer::error);
    const byte_range wanted{100, 200};
    CHECK(judged(206, wanted, "bytes 100-199/1000") == answer::part);
    CHECK(judged(206, wanted, "bytes 100-150/1000") == answer::part);
    CHECK(judged(206, wanted, "bytes 100-200/1000") == answer::error);
    CHECK(judged(206, wanted, "bytes 99-199/1000") == answer::error);
    CHECK(judged(206, wanted, "bytes 0-99/1000") == answer::error);
    CHECK(judged(206, wanted, "octets") == answer::error);
    CHECK(judged(206, wanted) == answer::error);
    CHECK(judged(200, wanted) == answer::whole);
    CHECK(judged(416, wanted) == answer::none);
    CHECK(judged(404, wanted) == answer::error);
    const http::fields first = fields_of({{"content-range", "bytes 100-149/1000"}});
    CHECK(judge({206, first, std::uint64_t{50}}, wanted) == answer::part);
    for (const std::uint64_t length : {0U, 49U, 51U, 100U})
        CHECK(judge({206, first, length}, wanted) == answer::error);
    CHECK(end_of({206, first, std::nullopt}) == 150);
    CHECK(end_of({200, first, std::nullopt}) == segments::unknown);
    const http::fields part = fields_of({{"content-range", "bytes 0-9/77"}});
    CHECK(describe({206, part, std::uint64_t{10}}).length == 77U);
}

TEST_CASE("rate limit: the sum of all keeps it", "[downloader]") {
    rate_limit limit(1000);
    CHECK(limit.take(100, 0s) == 0ns);  // 100 ms may be made up for
    CHECK(limit.take(500, 0s) == 500ms);
    CHECK(limit.take(500, 500ms) == 500ms);  // another task
    CHECK(limit.take(0, 10s) == 0ns);
    CHECK(limit.take(1000, 10s) == 900ms);  // the pause saves no more than 100 ms
    CHECK(limit.read_size(65536) == 1024);
    CHECK(rate_limit(1 << 20).read_size(65536) == 65536);
    CHECK(rate_limit().take(1ULL << 40, 0s) == 0ns);
    CHECK(rate_limit().read_size(65536) == 65536);
    CHECK_FALSE(rate_limit().is_limited());
}

TEST_CASE("rate meter: bytes a second over the last five", "[downloader]") {
    rate_meter meter;
    meter.sample(0s);
    CHECK(meter.bytes_per_second() == 0);
    meter.add(1000);
    meter.sample(1s);
    CHECK(meter.bytes_per_second() == 1000);
    for (int i = 2; i <= 20; ++i) {
        meter.add(10);
        meter.sample(std::chrono::seconds(i));
    }
    CHECK(meter.bytes_per_second() == 10);
    meter.sample(20s);  // no time has passed
    CHECK(meter.bytes_per_second() == 10);
}

TEST_CASE("failures: which may go away", "[downloader]") {
    using std::runtime_error;
    CHECK(hope_after(busy_server("503", {})) == hope::good);
    CHECK(hope_after(http::timeout_error(http::phase::body, 1s, "GET", "http://a/", 0)) ==
          hope::good);
    CHECK(hope_after(http::body_error("short", "GET", "http://a/", 5)) == hope::good);
    CHECK(hope_after(http::protocol_error("odd")) == hope::good);
    CHECK(hope_after(std::system_error(ECONNRESET, std::system_category())) == hope::good);
    CHECK(hope_after(http::connect_error("refused")) == hope::little);
    CHECK(hope_after(http::tls_error("expired")) == hope::none);
    CHECK(hope_after(http::status_error(404, "Not Found", "GET", "http://a/")) == hope::none);
    CHECK(hope_after(refused("File exists")) == hope::none);
    CHECK(is_busy_status(503));
    CHECK_FALSE(is_busy_status(501));
    CHECK(reason_of(http::status_error(404, "Not Found", "GET", "http://a/")) == "404 Not Found");
    CHECK(reason_of(runtime_error("a\x1b[2J")) == "a?[2J");
}

TEST_CASE("backoff: pauses double, and Retry-After counts", "[downloader]") {
    const http::body_error lost("short", "GET", "http://a/", 5);
    backoff four(4);
    CHECK(four.next(lost, 0) == 500ms);
    CHECK(four.next(lost, 0) == 1000ms);
    CHECK(four.next(lost, 1) == 1500ms);  // less a quarter
    CHECK(four.next(lost, 0) == 4000ms);
    CHECK_FALSE(four.next(lost, 0));
    four.restart();
    CHECK(four.next(lost, 0) == 500ms);

    backoff many(100);
    for (int i = 0; i < 20; ++i) many.next(lost, 0);
    CHECK(many.next(lost, 0) == 30s);
    CHECK(backoff(1).next(busy_server("503", 7s), 0.5) == 7s);
    CHECK(backoff(1).next(busy_server("503", 0s), 0) == 500ms);
    CHECK_FALSE(backoff(9).next(busy_server("503", 301s), 0));  // too long to wait for
    CHECK_FALSE(backoff(0).next(lost, 0));

    const http::connect_error down("refused");
    backoff unreachable(9);
    CHECK(unreachable.next(down, 0));
    CHECK_FALSE(unreachable.next(down, 0));
    backoff died(9);
    died.connected();  // it was there before
    for (int i = 0; i < 9; ++i) CHECK(died.next(down, 0));
}
