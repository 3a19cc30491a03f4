// SPDX-License-Identifier: MIT
// The accounts of rondo-get: ranges, the state of an unfinished file, rates, failures, and
// what a response is worth. No network, no disk.
#include <string>
#include <string_view>
#include <vector>

#include <rondo/http/error.hpp>

#include "../../examples/downloader/failure.hpp"
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
    fresh.advance(*only, 300);
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

TEST_CASE("segments: a task that has nothing to do takes half of the longest rest",
          "[downloader]") {
    segments file(1000);
    file.split(2, 100);
    const auto a = file.take();
    const auto b = file.take();
    REQUIRE((a && b));
    file.advance(*b, 500);
    file.give_back(*b);
    const auto c = file.take();
    REQUIRE(c);
    CHECK(file.position(*c) == 250);
    CHECK(file.end(*c) == 500);
    CHECK(file.end(*a) == 250);
    file.advance(*a, 9999);  // the bytes that follow are no longer its own
    CHECK(file.position(*a) == 250);
    CHECK(file.done() == ranges{{0, 250}, {500, 1000}});
    file.advance(*c, 100);
    CHECK_FALSE(file.take());  // 150 bytes are not worth a request
    file.give_back(*c);
    CHECK(file.take() == c);  // after a failure it goes on where the other was
    CHECK(file.position(*c) == 350);
}

TEST_CASE("segments: an unknown length is known at the end", "[downloader]") {
    segments file;
    const auto number = file.take();
    REQUIRE(number);
    CHECK_FALSE(file.take());
    file.advance(*number, 123);
    file.ends_at(*number);
    CHECK(file.is_complete());
    CHECK(file.length() == 123);
    CHECK(file.done() == ranges{{0, 123}});
}

TEST_CASE("segments: whatever is taken, cut and given back, each byte comes once", "[downloader]") {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        unsigned state = seed;
        const auto random = [&](unsigned below) {
            state = state * 1664525 + 1013904223;
            return (state >> 8) % below;
        };
        segments file(5000);
        file.split(1 + random(5), 1 + random(300));
        std::vector<int> times(5000);
        std::vector<std::size_t> taken;
        while (!file.is_complete()) {
            if (const auto more = random(2) == 0 ? file.take() : std::nullopt) {
                taken.push_back(*more);
            } else if (!taken.empty()) {
                const std::size_t which = random(static_cast<unsigned>(taken.size()));
                const std::size_t number = taken[which];
                const auto bytes = std::min<std::uint64_t>(random(400), file.left(number));
                for (std::uint64_t i = 0; i < bytes; ++i) ++times[file.position(number) + i];
                file.advance(number, bytes);
                if (file.left(number) == 0 || random(8) == 0) {
                    file.give_back(number);
                    taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(which));
                }
            }
        }
        for (const int count : times)
            if (count != 1) FAIL("seed " << seed << ": a byte came " << count << " times");
    }
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
