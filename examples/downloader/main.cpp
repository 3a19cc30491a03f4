// SPDX-License-Identifier: MIT
// Downloads many files at once over HTTP and HTTPS: `downloader --help` says how.
//
// Each download is a task, with a limit on how many run at a time. They share a thread, a ring and
// the connections that servers keep open. One more task draws the progress. Ctrl-C cancels them
// all, and each removes its unfinished file.
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fmt/core.h>
#include <rondo/http/url.hpp>
#include <rondo/rondo.hpp>

#include "fetch.hpp"
#include "names.hpp"
#include "options.hpp"

using namespace std::chrono_literals;
using namespace downloader;

namespace {

screen screen_of(int terminal) {
    screen result;
    winsize size{};
    if (::ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        result.columns = size.ws_col;
        result.rows = size.ws_row;
    }
    result.unicode =
        is_utf8_locale(std::getenv("LC_ALL"), std::getenv("LC_CTYPE"), std::getenv("LANG"));
    return result;
}

/// Writes the whole text, or the part that the reader accepts.
void write_out(int to, std::string_view text) {
    while (!text.empty()) {
        const auto size = ::write(to, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(size));
    }
}

rondo::task<> draw(downloads& all, int to) {
    for (;;) {
        co_await rondo::sleep(100ms);
        write_out(to, all.show.render(all.now(), screen_of(to)));
    }
}

rondo::task<> download_all(downloads& all, std::vector<job> jobs, std::size_t jobs_max, int to) {
    co_await rondo::with_task_group([&](rondo::task_group& group) -> rondo::task<> {
        auto drawing = group.start(draw(all, to));
        co_await rondo::map_concurrent(jobs_max, std::move(jobs),
                                       [&](const job& what) { return fetch(all, what); });
        drawing.cancel();
    });
    co_await all.web.close();
}

/// A job for each valid URL; the others are reported as failed.
std::vector<job> jobs_of(const std::vector<std::string>& urls, progress& show) {
    std::vector<job> jobs;
    file_names names;
    for (const std::string& text : urls) {
        try {
            const rondo::http::url where(text);
            if (!where.is_http())
                throw rondo::http::url_error(std::string(where.scheme()) +
                                             " is not supported: http and https are");
            jobs.emplace_back(text, names.claim(where.target()));
        } catch (const rondo::http::url_error& error) {
            show.failed(text, error.what());
        }
    }
    return jobs;
}

/// Raises the limit on descriptors: a download needs two, and many systems allow 1024 by default.
void allow_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

int download(const options& wanted, const std::vector<std::string>& urls) {
    std::filesystem::create_directories(wanted.folder);
    allow_descriptors();
    const int to = wanted.quiet ? STDERR_FILENO : STDOUT_FILENO;
    const bool bars = wanted.progress && ::isatty(to) != 0;
    progress show(urls.size(), wanted.quiet ? progress_mode::quiet
                               : bars       ? progress_mode::bars
                                            : progress_mode::lines);
    downloads all(wanted.jobs, wanted.folder, wanted.force, show);
    rondo::run(download_all(all, jobs_of(urls, show), wanted.jobs, to));
    write_out(to, show.finish(all.now()));
    if (const int code = rondo::interrupted()) return code;
    return show.files_failed() > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        options wanted = parse_options(argc, argv);
        if (wanted.help) {
            write_out(STDOUT_FILENO, help_text());
            return 0;
        }
        std::vector<std::string> urls = std::move(wanted.urls);
        for (const std::string& path : wanted.list_files)
            for (std::string& text : read_list_file(path)) urls.push_back(std::move(text));
        return download(wanted, urls);
    } catch (const usage_error& error) {
        fmt::print(stderr, "downloader: {}\n\n{}", error.what(), help_text());
        return 2;
    } catch (const std::exception& error) {  // a list or a folder that is none, no io_uring
        fmt::print(stderr, "downloader: {}\n", error.what());
        return 2;
    }
}
