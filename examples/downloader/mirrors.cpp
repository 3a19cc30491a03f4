// SPDX-License-Identifier: MIT
// Requests of a transfer: which server is asked, and whether its answer can be used.
#include <numeric>

#include <fmt/core.h>
#include <rondo/http/date.hpp>
#include <rondo/staggered_race.hpp>

#include "figures.hpp"
#include "text.hpp"
#include "transfer.hpp"

namespace downloader {

namespace {

namespace http = rondo::http;

/// Throws the error that a response without a file is.
[[noreturn]] void refuse_status(const http::response& response) {
    const std::string text = fmt::format("{} {}", response.status(), response.reason());
    if (is_busy_status(response.status())) {
        std::optional<std::chrono::seconds> wait;
        if (const auto after = response.header("retry-after"))
            wait = http::parse_retry_after(
                *after, std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
        throw busy_server(text, wait);
    }
    response.raise_for_status();
    throw refused(text + ": this is not the file");
}

}  // namespace

/// With a digest, mirrors may differ in their validators: the whole file is checked at the end.
bool transfer::fits(std::size_t mirror, const remote_file& described) {
    if (is_same(known_, described)) return true;
    if (what_.sha256.empty() || described.length != known_.length) return false;
    auto& seen = seen_[mirror];
    if (!seen) seen = described;
    return seen->validator() == described.validator();
}

std::string transfer::condition(std::size_t mirror) const {
    if (what_.sha256.empty()) return known_.validator();
    return seen_[mirror] ? seen_[mirror]->validator() : "";
}

void transfer::check_length(const remote_file& described) const {
    const std::uint64_t most = all_.wanted.size_max;
    if (most > 0 && described.length.value_or(0) > most)
        throw refused(fmt::format("it has {}, and --max-filesize is {}",
                                  bytes_text(*described.length), bytes_text(most)));
}

/// Asks one mirror.
/// Throws: unless the answer is the file, or the range of the file that is known.
rondo::task<answered> transfer::ask_mirror(std::size_t mirror, byte_range range) {
    request_count asking(&++all_.asking);
    const bool is_small = range == all_bytes;  // a range is of a large file
    http::request_builder request = all_.request("GET", what_.parsed[mirror], is_small);
    if (range != all_bytes) {
        request.range(range.begin, range.end - 1);
        if (const std::string sent = condition(mirror); !sent.empty())
            request.header("if-range", sent);
    }
    http::response response = co_await std::move(request);
    const response_head head = head_of(response);
    remote_file described = describe(head);
    const answer what = judge(head, range);
    if (what == answer::error) refuse_status(response);
    check_length(described);
    if (what == answer::none || (what == answer::part && !fits(mirror, described))) {
        if (mirror == origin_) throw begin_anew("the file on the server has changed");
        throw refused("a mirror has another file");
    }
    if (what == answer::whole && range != all_bytes && mirror != origin_)
        throw refused("a mirror has another file, or no ranges of it");
    if (mirror < 64) used_mirrors_ |= std::uint64_t{1} << mirror;
    co_return answered(std::move(response), std::move(described), mirror, what, range.begin,
                       std::move(asking));
}

/// The mirrors are asked one after the other, with a short delay.
std::vector<std::size_t> transfer::mirror_order() const {
    if (is_alone_) return {origin_};
    std::vector<std::size_t> order(what_.parsed.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::swap(asks_whole_ ? order.back() : order.front(), order[origin_]);
    return order;
}

/// Returns: the first good answer.
rondo::task<answered> transfer::ask(byte_range range) {
    if (mirrors() == 1) co_return co_await ask_mirror(origin_, range);
    std::vector<std::size_t> order = mirror_order();
    const auto runner = [this, &range](std::size_t mirror) { return ask_mirror(mirror, range); };
    auto race = rondo::staggered_race(mirror_delay, std::move(order), runner);
    co_return co_await std::move(race);
}

/// Asks one mirror what it has.
rondo::task<description> transfer::describe_mirror(std::size_t mirror) {
    const http::response head = co_await all_.request("HEAD", what_.parsed[mirror], true);
    if (is_busy_status(head.status())) refuse_status(head);
    if (head.status() != 200)
        throw refused(fmt::format("File exists, and the server says {}", head.status()));
    co_return description(mirror, describe(head_of(head)));
}

/// Returns: what the first mirror says that has the file.
rondo::task<description> transfer::ask_description() {
    const auto runner = [this](std::size_t mirror) { return describe_mirror(mirror); };
    auto race = rondo::staggered_race(mirror_delay, mirror_order(), runner);
    co_return co_await std::move(race);
}

}  // namespace downloader
