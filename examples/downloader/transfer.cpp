// SPDX-License-Identifier: MIT
// Attempts of a transfer: what is there already, what a failure means, what is kept.
#include "transfer.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/core.h>
#include <rondo/http/date.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/shield.hpp>
#include <rondo/sleep.hpp>
#include <rondo/to_thread.hpp>

#include "digest.hpp"
#include "figures.hpp"
#include "text.hpp"

namespace downloader {

namespace {

namespace http = rondo::http;

constexpr unsigned restarts_max = 5;
constexpr std::uint64_t headway = 64 * 1024;  // bytes after which an attempt was no failure

}  // namespace

transfer::transfer(downloads& all, const wanted_file& what, std::string name, std::size_t id)
    : all_(all),
      what_(what),
      id_(id),
      part_(all.to, std::move(name), &all.names),
      seen_(what_.sha256.empty() ? 0 : what_.parsed.size()),
      were_wrong_(seen_.size()) {
    result_.name = part_.name();
    result_.url = what_.parsed.front().text();
}

void transfer::note(std::string_view text) {
    all_.show.note(fmt::format("{}: {}", part_.name(), text));
}

/// True if nothing is to be done. Throws: refused if the name is taken by something else.
rondo::task<bool> transfer::is_there_already() {
    if (!all_.found.may_have(part_.name())) co_return false;
    const auto there = all_.to.status(part_.name());
    if (there && S_ISDIR(there->st_mode) && all_.wanted.taken != when_taken::rename)
        throw refused("a folder has that name (--rename keeps both)");
    if (!there || all_.wanted.taken != when_taken::keep) co_return false;
    std::string problem;
    if (!S_ISREG(there->st_mode)) {
        problem = "is no ordinary file";
    } else if (!what_.sha256.empty()) {
        const file_number old = all_.to.open(part_.name(), O_RDONLY);
        if (!old) refuse_file(errno, "open", part_.name());
        auto call = rondo::to_thread(sha256_of, old.get());
        if (co_await call != what_.sha256) problem = "its SHA-256 is another one";
    } else {
        const struct stat* const now = &*there;
        problem = co_await difference(now);
    }
    if (!problem.empty())
        throw refused(fmt::format(
            "File exists, and {} (--overwrite replaces it, --rename keeps both)", problem));
    result_.reason = "is there already, complete";
    result_.bytes = static_cast<std::uint64_t>(there->st_size);
    co_return true;
}

/// Asks the mirrors whether their file is still the one that is there.
/// Returns: nothing if it is, or why not.
rondo::task<std::string> transfer::difference(const struct stat* there) {
    const description found = co_await ask_description();
    const remote_file& now = found.second;
    if (now.length && *now.length != static_cast<std::uint64_t>(there->st_size))
        co_return "is not as long as the server's";
    const std::string kept = validator_of(all_.to, part_.name());
    if (!kept.empty() && (kept == now.etag || kept == now.modified)) co_return "";
    // Mirrors of one file may call it otherwise. So only the first one's word shows a change.
    if (!kept.empty() && !now.validator().empty() && found.first == 0)
        co_return "is not the server's any more";
    const auto changed = http::parse_http_date(now.date);
    if (!now.length || !changed) co_return "nothing shows that it is the server's";
    const bool is_older = changed->time_since_epoch().count() <= there->st_mtim.tv_sec;
    co_return is_older ? "" : "the server's was changed since";
}

/// Goes on with what an earlier run has left, if that can be done.
void transfer::find_part() {
    if (!all_.found.may_have_parts()) return;
    const auto saved = part_.resume(what_.parsed, all_.wanted.resume);
    if (!saved) return;
    for (std::size_t i = what_.parsed.size(); i-- > 0;)
        if (what_.parsed[i].text() == saved->url) origin_ = i;
    known_.length = saved->length;
    known_.etag = saved->etag;
    known_.modified = saved->modified;
    known_.takes_ranges = true;
    if (!what_.sha256.empty()) seen_[origin_] = known_;
    std::vector<byte_range> done = saved->done;
    // If every byte is there, the last one is fetched again: to see if the file is still the same.
    if (!done.empty() && done.back() == byte_range{0, saved->length}) --done.back().end;
    segments_ = segments(saved->length, done);
    has_begun_ = true;
    result_.resumed_at = saved->length - segments_.bytes_left();
}

std::uint64_t transfer::bytes_there() const {
    return has_begun_ ? segments_.length() - segments_.bytes_left() : 0;
}

rondo::task<> transfer::save() {
    if (!has_begun_ || !can_resume()) co_return;
    saved_state state;
    state.url = what_.parsed[origin_].text();
    state.etag = known_.etag;
    state.modified = known_.modified;
    state.length = *known_.length;
    state.done = segments_.done();
    if (state.done.empty()) co_return;
    co_await part_.save(std::move(state));
}

/// The server's file from its first byte on: whatever was there is of no use any more.
rondo::task<> transfer::begin_again(answered* first) {
    if (has_begun_ && segments_.bytes_left() < segments_.length()) {
        const bool is_equal = is_same(known_, first->described);
        note(!can_resume() ? "it cannot be continued: it is downloaded anew"
             : is_equal    ? "the server sends no ranges: it is downloaded anew"
                           : "the file on the server has changed: it is downloaded anew");
    }
    has_begun_ = asks_whole_ = false;
    result_.resumed_at = 0;
    known_ = std::move(first->described);
    if (what_.parsed.size() > 1) result_.url = what_.parsed[first->mirror].text();
    origin_ = first->mirror;
    seen_.assign(seen_.size(), std::nullopt);
    if (!what_.sha256.empty()) seen_[origin_] = known_;  // otherwise it is not looked at
    segments_ = segments(known_.length.value_or(segments::unknown));
    co_await part_.begin(known_.length);
    has_begun_ = true;
}

rondo::task<> transfer::attempt() {
    byte_range range = all_bytes;
    if (has_begun_ && can_resume() && !ignores_ranges_ && !asks_whole_ &&
        segments_.bytes_left() > 0) {
        if (workers() > 1) segments_.split(workers(), piece_bytes);
        if (const auto number = segments_.take()) {
            range = {segments_.position(*number), segments_.end(*number)};
            segments_.give_back(*number);
        }
    }
    answered first = co_await ask(range);
    if (first.what == answer::whole) {
        ignores_ranges_ = ignores_ranges_ || range != all_bytes;
        co_await begin_again(&first);
    }
    note_encoding(first);
    all_.show.expect(id_, known_.length, segments_.length() - segments_.bytes_left());
    if (known_.length && *known_.length < piece_bytes)
        co_await move_alone(std::move(first));
    else
        co_await move_together(std::move(first));
}

/// Some servers encode what they send although "identity" is asked for, or call a file encoded that
/// is so by itself. Decoding could make another file of it, so it is saved as it comes, and told.
void transfer::note_encoding(const answered& first) {
    const auto value = first.response.header("content-encoding").value_or("");
    const bool is_encoded = !value.empty() && !http::same_word(value, "identity");
    const std::string encoding = is_encoded ? printable(value, 40) : "";
    if (std::exchange(result_.encoding, encoding) == encoding || !is_encoded) return;
    for (const auto& [name, wish] : all_.wanted.headers)
        if (http::same_word(name, "accept-encoding")) return;
    note(fmt::format("the server sends it encoded ({}): it is saved as it comes", encoding));
}

std::string transfer::retry_note(const std::exception& error, backoff::time pause) const {
    return fmt::format("{}; again in {}", reason_of(error), duration_text(pause));
}

/// Looks for what the folder has, once.
/// Returns: true if nothing is to be done.
rondo::task<bool> transfer::begin_run() {
    if (has_looked_) co_return false;
    const bool is_there = co_await is_there_already();
    if (!is_there) find_part();
    has_looked_ = true;
    co_return is_there;
}

rondo::task<bool> transfer::run() {
    backoff attempts(all_.wanted.retries);
    backoff::time pause{};
    std::exception_ptr failed;
    std::uint64_t furthest = 0;  // what comes again and again is no headway
    for (unsigned restarts = 0; !failed;) {
        const std::uint64_t before = result_.received;
        try {
            if (pause > backoff::time::zero()) co_await rondo::sleep(pause);
            pause = {};
            const bool is_there = co_await begin_run();
            if (is_there) co_return false;
            furthest = std::max(furthest, bytes_there());
            co_await attempt();
            co_return true;
        } catch (const begin_anew& why) {
            if (++restarts > restarts_max) failed = std::current_exception();
            // Several servers of one name, say, whose validators differ.
            if (restarts > 1) ignores_ranges_ = true;
            note(fmt::format("{}: it is downloaded anew", why.what()));
            has_begun_ = false;
            part_.discard();
        } catch (const std::exception& error) {
            if (result_.received > before) attempts.connected();
            if (bytes_there() >= furthest + headway) attempts.restart();
            furthest = std::max(furthest, bytes_there());
            const auto next = attempts.next(error, all_.chance());
            if (!next && gives_part_up(error))
                attempts.restart();
            else if (!next)
                failed = std::current_exception();
            pause = next.value_or(pause);
            if (next && all_.wanted.verbose) note(retry_note(error, pause));
        } catch (const rondo::cancelled&) {
            failed = std::current_exception();
        }
    }
    co_await keep();
    std::rethrow_exception(failed);
}

/// If no mirror goes on with the part, the other ones are asked for the whole file, once. The part
/// stays until one of them has begun to send it.
bool transfer::gives_part_up(const std::exception& error) {
    if (mirrors() < 2 || bytes_there() == 0 || has_given_up_) return false;
    if (dynamic_cast<const refused*>(&error) != nullptr) return false;  // the disk, say
    return has_given_up_ = asks_whole_ = true;
}

rondo::task<> transfer::keep() {
    try {
        auto saving = save();
        co_await rondo::shield(std::move(saving));
    } catch (const refused&) {  // the disk is full, say: what failed first is told
    }
}

/// The digest was wrong: from which mirror alone the file is downloaded anew.
/// Throws: refused if all have sent a wrong one.
void transfer::choose_alone() {
    // Bytes of another run, or of several mirrors, may not belong together.
    const bool is_mixed = result_.resumed_at > 0 || (used_mirrors_ & (used_mirrors_ - 1)) != 0;
    if (is_alone_ || !is_mixed) {
        were_wrong_[origin_] = true;
        const auto next = std::find(were_wrong_.begin(), were_wrong_.end(), false);
        if (next == were_wrong_.end())
            throw refused(fmt::format("its SHA-256 is {}", result_.sha256));
        origin_ = static_cast<std::size_t>(next - were_wrong_.begin());
    }
    note("its SHA-256 is another one: it is downloaded anew, from one server");
    is_alone_ = true;
    used_mirrors_ = 0;
}

rondo::task<bool> transfer::finish() {
    if (!what_.sha256.empty()) {
        auto call = rondo::to_thread(sha256_of, part_.number());
        result_.sha256 = co_await call;
        if (result_.sha256 != what_.sha256) {
            part_.discard();
            has_begun_ = false;
            choose_alone();
            co_return false;
        }
    }
    result_.bytes = segments_.length();
    if (all_.wanted.timestamps)
        if (const auto changed = http::parse_http_date(known_.date))
            part_.set_time(changed->time_since_epoch().count());
    part_.keep_validator(known_.validator());
    if (all_.wanted.sync) co_await all_.disk.wait(part_);
    part_.commit(all_.wanted.taken);
    result_.name = part_.name();
    co_return true;
}

}  // namespace downloader
