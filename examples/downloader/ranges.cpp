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

/// Writes the response to the part, until it or its segment ends.
/// Throws: body_error if it has no byte of the segment.
rondo::task<> transfer::copy(answered& from, std::size_t segment) {
    http::response& body = from.response;
    const std::uint64_t begin = segments_.position(segment);
    // A limited rate wants small steps, which cost a copy.
    const std::size_t step = all_.limit.read_size(read_most);
    std::vector<char> buffer(all_.limit.is_limited() ? step : 0);
    while (segments_.left(segment) > 0 && segments_.position(segment) < from.end) {
        rondo::chunk piece;
        if (buffer.empty())
            piece = co_await body.read_some();
        else
            piece = co_await body.read_some(rondo::buffer_view(buffer.data(), buffer.size()));
        if (!piece) break;
        const std::uint64_t at = segments_.position(segment);
        const auto size =
            std::min<std::uint64_t>({piece.size(), segments_.left(segment), from.end - at});
        if (const std::uint64_t most = all_.wanted.size_max; most > 0 && at + size > most)
            throw refused(fmt::format("it has more than --max-filesize, {}", bytes_text(most)));
        co_await part_.write(std::string_view(piece.data(), size), at);
        segments_.advance(segment, size);
        result_.received += size;
        all_.show.add(id_, size);
        const auto pause = all_.limit.take(size, all_.now());
        if (pause > 0ns) co_await rondo::sleep(pause);
    }
    if (segments_.length() == segments::unknown) segments_.ends_at(segment);
    if (segments_.left(segment) > 0 && segments_.position(segment) == begin)
        throw http::body_error("the response has no bytes", "GET", result_.url, result_.received);
}

/// A small file: nothing of it is saved or split.
rondo::task<> transfer::move_alone(answered first) {
    const auto segment = segments_.take();
    if (!segment) co_return;
    const std::size_t number = *segment;
    try {
        co_await copy(first, number);
    } catch (...) {
        segments_.give_back(number);
        throw;
    }
    segments_.give_back(number);
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

/// Fetches segments until none is left.
rondo::task<> transfer::fetch_ranges(std::optional<answered> response, std::size_t mirror) {
    while (const auto segment = segments_.take()) {
        const std::size_t number = *segment;
        try {
            if (!response) {
                const byte_range range{segments_.position(number), segments_.end(number)};
                response.emplace(co_await ask_mirror(mirror, range));
                if (response->what == answer::whole) {
                    if (!fits(mirror, describe(head_of(response->response))))
                        throw begin_anew("the file on the server has changed");
                    ignores_ranges_ = true;
                    throw begin_anew("the server sends no ranges");
                }
            }
            co_await copy(*response, number);
        } catch (...) {
            segments_.give_back(number);
            throw;
        }
        response.reset();
        segments_.give_back(number);
    }
}

/// One of the tasks of a file. If it fails, the others fetch what it has left, and its error counts
/// only if they cannot.
rondo::task<> transfer::work(std::optional<answered> first, std::size_t mirror) {
    for (std::size_t tried = 0; tried < mirrors(); ++tried) {
        const std::size_t now = is_alone_ ? origin_ : (mirror + tried) % mirrors();
        try {
            std::optional<answered> given = std::exchange(first, std::nullopt);
            co_await fetch_ranges(std::move(given), now);
            co_return;
        } catch (const begin_anew&) {
            if (std::exchange(is_beginning_anew_, true)) co_return;  // another task says it
            throw;
        } catch (const std::exception& error) {
            if (!first_failure_) first_failure_ = std::current_exception();
            if (all_.wanted.verbose) note("a connection has failed: " + reason_of(error));
        }
    }
}

rondo::task<> transfer::work_all(std::optional<answered> first, std::size_t count) {
    const std::size_t mirror = first->mirror;
    std::vector<rondo::task<>> tasks;
    tasks.push_back(work(std::move(first), mirror));
    while (tasks.size() < count) tasks.push_back(work(std::nullopt, mirror + tasks.size()));
    co_await rondo::gather(std::move(tasks));
}

/// Throws: the first failure, if the file is not complete when all tasks have ended.
rondo::task<> transfer::move_together(answered first) {
    first_failure_ = nullptr;
    is_beginning_anew_ = false;
    const std::size_t count = workers();
    segments_.split(count, piece_bytes);
    std::optional<answered> given(std::move(first));
    auto both = rondo::race(work_all(std::move(given), count), save_often());
    co_await std::move(both);
    if (segments_.is_complete()) co_return;
    if (first_failure_) std::rethrow_exception(first_failure_);
    throw http::body_error("the response ended early", "GET", result_.url, result_.received);
}

}  // namespace downloader
