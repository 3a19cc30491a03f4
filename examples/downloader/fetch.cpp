// SPDX-License-Identifier: MIT
// Names for the files, a task for each, and how each of them ended.
#include "fetch.hpp"

#include <memory>
#include <span>

#include <fmt/core.h>
#include <unistd.h>
#include <rondo/gather.hpp>
#include <rondo/http/disposition.hpp>
#include <rondo/http/url.hpp>
#include <rondo/shield.hpp>
#include <rondo/staggered_race.hpp>
#include <rondo/sync/semaphore.hpp>
#include <rondo/task_group.hpp>

#include "terminal.hpp"
#include "text.hpp"
#include "transfer.hpp"

namespace downloader {

namespace {

namespace http = rondo::http;

constexpr std::size_t ending_max = 256;     // complete files that wait for the disk
constexpr std::size_t looked_for_max = 16;  // files that are looked for one by one

/// Throws: url_error.
http::url checked(const std::string& text) {
    http::url where(text);
    if (!where.is_http())
        throw http::url_error(std::string(where.scheme()) +
                              " is not supported: http and https are");
    return where;
}

/// A name that is safe, and that no other file of the run has. A change is told.
std::string claim(downloads& all, const std::string& wished) {
    const std::string safe = safe_name(wished);
    std::string name = all.names.claim(safe);
    if (name != wished)
        all.show.note(fmt::format("{} is saved as {}{}", printable(wished, 200), name,
                                  name == safe ? "" : ": another URL has that name"));
    return name;
}

/// The name that a server suggests; empty if it suggests none.
rondo::task<std::string> name_at(downloads& all, const http::url* url) {
    const http::response head = co_await all.request("HEAD", *url, true);
    head.raise_for_status();
    const auto value = head.header("content-disposition").value_or("");
    co_return http::disposition_file_name(value).value_or("");
}

/// The name that the first mirror suggests that answers, or else that of the URL.
rondo::task<std::string> suggested_name(downloads& all, const std::vector<http::url>* urls) {
    std::string name = raw_name(urls->front().target());
    try {
        const auto runner = [&all](const http::url& url) { return name_at(all, &url); };
        auto race = rondo::staggered_race(mirror_delay, *urls, runner);
        const std::string found = co_await std::move(race);
        if (!found.empty()) name = found;
    } catch (const http::error&) {  // the download itself will say what is wrong
    } catch (const std::system_error&) {
    }
    co_return claim(all, name);
}

/// The meaning of an exception for the file.
void describe_failure(outcome& end, const std::exception_ptr& failed) {
    end.how = ending::failed;
    try {
        std::rethrow_exception(failed);
    } catch (const std::exception& error) {
        end.reason = reason_of(error);
    } catch (...) {  // cancelled
        end.how = ending::interrupted;
    }
}

/// `end.took` was the time of the beginning.
void stop_clock(downloads& all, outcome& end) { end.took = all.now() - end.took; }

void report(downloads& all, std::size_t id, const outcome& end) {
    all.show.end(id, end);
    if (!all.wanted.json || all.output_error != 0) return;
    all.output_error = write_out(STDOUT_FILENO, json_line(end, all.to.path()));
}

/// The end of a transfer whose bytes are all there. It holds no seat of options::jobs.
rondo::task<> complete(downloads& all, std::unique_ptr<transfer> one,
                       [[maybe_unused]] rondo::permit held) {
    std::exception_ptr failed;
    try {
        for (;;) {
            auto finishing = one->finish();
            const bool is_right = co_await rondo::shield(std::move(finishing));
            if (is_right) break;
            co_await one->run();
        }
        one->result().how = ending::done;
    } catch (...) {
        failed = std::current_exception();
    }
    if (failed) {
        co_await one->keep();
        describe_failure(one->result(), failed);
    }
    report(all, one->id(), one->result());
}

rondo::task<> fetch(downloads& all, rondo::task_group& group, rondo::semaphore& seats,
                    const job& file) {
    rondo::permit held = co_await seats.acquire();
    const std::size_t id = all.show.start(file.name.empty() ? file.shown : file.name);
    const auto began = all.now();
    std::string name = file.name;
    std::unique_ptr<transfer> one;
    std::exception_ptr failed;
    bool is_skipped = false;
    try {
        if (!file.problem.empty()) throw refused(file.problem);
        if (file.name.empty()) {
            name = co_await suggested_name(all, &file.what.parsed);
            all.show.rename(id, name);
        }
        one = std::make_unique<transfer>(all, file.what, std::move(name), id);
        one->result().took = began;
        is_skipped = !co_await one->run();
    } catch (...) {
        failed = std::current_exception();
    }
    if (!failed && !is_skipped) {
        stop_clock(all, one->result());  // the wait for the disk is not the server's
        group.start(complete(all, std::move(one), std::move(held)));
        co_return;
    }
    outcome early;
    early.url = file.shown;
    early.name = file.name;
    early.took = began;
    outcome& end = one ? one->result() : early;
    end.how = ending::skipped;
    if (failed) describe_failure(end, failed);
    stop_clock(all, end);
    report(all, id, end);
    if (end.how == ending::interrupted) std::rethrow_exception(failed);
}

}  // namespace

std::vector<job> make_jobs(downloads& all, std::vector<wanted_file> files) {
    all.has_many = files.size() > all.wanted.per_host;
    if (files.size() >= looked_for_max) all.found = found_names(all.to.names());
    std::vector<job> jobs;
    for (wanted_file& file : files) {
        job& made = jobs.emplace_back(std::move(file));
        const std::vector<std::string>& urls = made.what.urls;
        std::vector<http::url>& parsed = made.what.parsed;
        try {
            for (const std::string& url : urls) parsed.push_back(checked(url));
            if (!all.wanted.output.empty())
                made.name = all.names.claim(all.wanted.output);
            else if (!made.what.out.empty())
                made.name = claim(all, made.what.out);
            else if (!all.wanted.content_disposition)
                made.name = claim(all, raw_name(parsed.front().target()));
        } catch (const http::url_error& error) {
            made.problem = error.what();
        }
        made.shown = printable(parsed.empty() ? without_password(urls.front())
                                              : parsed.front().text());
        made.what.urls = {};
    }
    return jobs;
}

rondo::task<> fetch_all(downloads& all, std::vector<job> jobs) {
    rondo::semaphore seats(all.wanted.jobs + ending_max);
    const auto body = [&](rondo::task_group& group) -> rondo::task<> {
        const auto one = [&](const job& file) { return fetch(all, group, seats, file); };
        auto every = rondo::map_concurrent(all.wanted.jobs, std::span<const job>(jobs), one);
        co_await std::move(every);
        all.disk.hurry();
    };
    auto together = rondo::with_task_group(body);
    co_await std::move(together);
}

}  // namespace downloader
