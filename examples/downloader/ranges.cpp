// SPDX-License-Identifier: MIT
// From responses to the part: one task, or several with a range each.
#include <algorithm>
#include <utility>

#include <fmt/core.h>
#include <rondo/gather.hpp>
#include <rondo/race.hpp>
#include <rondo/sleep.hpp>

#include "figures.hpp"
#include "transfer.hpp"

namespace downloader {

namespace {

namespace http = rondo::http;
using namespace std::chrono_literals;

constexpr auto first_save = 100ms;  // doubled each time, up to
constexpr auto save_interval = 1s;
constexpr std::size_t read_most = 256 * 1024;
constexpr std::uint64_t split_least = 64 << 20;  // a file that is split without being asked to
constexpr unsigned split_default = 4;
// A pause is no wait for the server. If --low-speed is above this, it would be missed.
constexpr std::uint64_t patient = 16 * 1024;
constexpr auto idle_pause = 50ms;  // until a task that has no segment looks again

}  // namespace

bool transfer::can_resume() const { return known_.length && !known_.validator().empty(); }

bool transfer::can_split() const {
    return known_.length && !ignores_ranges_ &&
           (!known_.validator().empty() || !what_.sha256.empty());
}

/// How many tasks fetch this file.
std::size_t transfer::workers() const {
    if (!can_split() || !known_.takes_ranges) return 1;
    if (all_.wanted.split) return *all_.wanted.split;
    const std::size_t by_size = *known_.length >= split_least ? split_default : 1;
    return std::max(by_size, mirrors());
}

/// Writes the response to the part, until it or its segment ends, or another task that fetches the
/// same segment turns out to be faster.
/// Throws: body_error if it has no byte of the segment.
rondo::task<> transfer::copy(answered& from, pace& mine) {
    http::response& body = from.response;
    const std::size_t segment = *mine.segment;
    const std::uint64_t begin = from.at;
    // A limited rate wants small steps, which cost a copy.
    const std::size_t step = all_.limit.read_size(read_most);
    std::vector<char> buffer(all_.limit.is_limited() ? step : 0);
    while (segments_.left(segment) > 0 && from.at < from.end) {
        rondo::chunk piece;
        mine.waits_since = all_.now();
        if (buffer.empty())
            piece = co_await body.read_some();
        else
            piece = co_await body.read_some(rondo::buffer_view(buffer.data(), buffer.size()));
        mine.waits_since.reset();
        if (!piece) break;
        const std::uint64_t old =
            std::exchange(from.at, std::min(from.at + piece.size(), from.end));
        mine.bytes += from.at - old;
        const std::uint64_t at = segments_.position(segment);
        const std::uint64_t end = std::min(from.at, segments_.end(segment));
        if (end <= at || end - at <= at - old) {  // the other one has brought more
            mine.patience *= 2;
            break;
        }
        if (const std::uint64_t most = all_.wanted.size_max; most > 0 && end > most)
            throw refused(fmt::format("it has more than --max-filesize, {}", bytes_text(most)));
        co_await part_.write(std::string_view(piece.data() + (at - old), end - at), at);
        const std::uint64_t fresh = segments_.reach(segment, end);
        result_.received += fresh;
        all_.show.add(id_, fresh);
        const std::uint64_t left = std::min(segments_.left(segment), from.end - from.at);
        pace::time pause{};
        if (all_.limit.is_limited())
            pause = all_.limit.take(end - at, all_.now());
        else if (left > 0 && all_.wanted.low_speed <= patient)
            pause = mine.pause(piece.size(), left, all_.now());
        if (pause > 0ns) co_await rondo::sleep(pause);
    }
    if (segments_.length() == segments::unknown) segments_.ends_at(segment);
    if (segments_.left(segment) > 0 && from.at == begin)
        throw http::body_error("the response has no bytes", "GET", result_.url, result_.received);
}

/// A small file: nothing of it is saved or split.
rondo::task<> transfer::move_alone(answered first) {
    const auto segment = segments_.take();
    if (!segment) co_return;
    pace mine;
    mine.begin(*segment, all_.now());
    try {
        co_await copy(first, mine);
    } catch (...) {
        let_go(mine);
        throw;
    }
    let_go(mine);
    if (!segments_.is_complete())
        throw http::body_error("the response ended early", "GET", result_.url, result_.received);
}

rondo::task<> transfer::save_often() {
    std::chrono::milliseconds pause = first_save;
    for (std::uint64_t saved = result_.received;;) {
        co_await rondo::sleep(pause);
        pause = std::min<std::chrono::milliseconds>(2 * pause, save_interval);
        if (result_.received == saved) continue;
        saved = result_.received;
        try {
            co_await save();
        } catch (const refused& error) {  // the download itself may succeed
            if (all_.wanted.verbose) note(fmt::format("its state is not saved: {}", error.what()));
        }
    }
}

void transfer::let_go(pace& mine) {
    segments_.give_back(*mine.segment);
    mine.end(all_.now());
}

std::optional<std::size_t> transfer::segment_to_help(std::size_t idle) {
    const bool is_crowded = all_.asking >= all_.wanted.per_host;
    const auto found = find_help(idle, paces_, segments_, all_.now(), is_crowded);
    if (!found) return std::nullopt;
    if (!found->is_shared) return segments_.take_half(found->segment);
    segments_.share(found->segment);
    return found->segment;
}

/// Gives the task a segment: a free one, or that of another task which it helps. None if the file
/// is complete.
rondo::task<> transfer::find_segment(pace* mine) {
    const auto number = static_cast<std::size_t>(mine - paces_.data());
    while (!segments_.is_complete()) {
        std::optional<std::size_t> found = segments_.take();
        if (!found) found = segment_to_help(number);
        if (found) {
            mine->begin(*found, all_.now());
            co_return;
        }
        co_await rondo::sleep(idle_pause);
    }
}

/// Fetches segments until the file is complete.
rondo::task<> transfer::fetch_ranges(std::optional<answered> response, pace* mine) {
    for (;;) {
        co_await find_segment(mine);
        if (!mine->segment) co_return;
        const std::size_t number = *mine->segment;
        const std::size_t mirror = mine->mirror;
        try {
            if (!response) {
                const byte_range range{segments_.position(number), segments_.end(number)};
                response.emplace(co_await ask_mirror(mirror, range));
                if (response->what == answer::whole) {
                    if (!fits(mirror, response->described))
                        throw begin_anew("the file on the server has changed");
                    ignores_ranges_ = true;
                    throw begin_anew("the server sends no ranges");
                }
            }
            mine->has_answer = true;
            co_await copy(*response, *mine);
        } catch (...) {
            let_go(*mine);
            throw;
        }
        response.reset();
        let_go(*mine);
    }
}

/// One of the tasks of a file. If it fails, the others fetch what it has left, and its error counts
/// only if they cannot.
rondo::task<> transfer::work(std::optional<answered> first, std::size_t number) {
    pace& mine = paces_[number];
    const std::size_t preferred = mine.mirror;
    for (std::size_t tried = 0; tried < mirrors(); ++tried) {
        mine.mirror = is_alone_ ? origin_ : (preferred + tried) % mirrors();
        try {
            std::optional<answered> given = std::exchange(first, std::nullopt);
            co_await fetch_ranges(std::move(given), &mine);
            break;
        } catch (const begin_anew&) {
            if (std::exchange(is_beginning_anew_, true)) co_return;  // another task says it
            throw;
        } catch (const std::exception& error) {
            if (!first_failure_) first_failure_ = std::current_exception();
            if (all_.wanted.verbose) note("a connection has failed: " + reason_of(error));
        }
    }
    if (segments_.is_complete()) complete_.set();
}

rondo::task<> transfer::work_all(std::optional<answered> first) {
    std::vector<rondo::task<>> tasks;
    for (std::size_t number = 0; number < paces_.size(); ++number)
        tasks.push_back(work(std::exchange(first, std::nullopt), number));
    co_await rondo::gather(std::move(tasks));
}

/// The first task that finds the file complete ends those that still wait for a server.
rondo::task<> transfer::until_complete() { co_await complete_.wait(); }

/// Throws: the first failure, if the file is not complete when all tasks have ended.
rondo::task<> transfer::move_together(answered first) {
    first_failure_ = nullptr;
    is_beginning_anew_ = false;
    complete_.clear();
    const std::size_t count = workers();
    segments_.split(count, piece_bytes);
    // One for each segment, and one more for each to help it.
    paces_.assign(std::min(count, 2 * std::max<std::size_t>(segments_.count(), 1)), pace());
    for (std::size_t i = 0; i < paces_.size(); ++i) paces_[i].mirror = first.mirror + i;
    std::optional<answered> given(std::move(first));
    auto any = rondo::race(work_all(std::move(given)), until_complete(), save_often());
    co_await std::move(any);
    if (segments_.is_complete()) co_return;
    if (first_failure_) std::rethrow_exception(first_failure_);
    throw http::body_error("the response ended early", "GET", result_.url, result_.received);
}

}  // namespace downloader
