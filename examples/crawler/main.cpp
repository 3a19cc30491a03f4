// SPDX-License-Identifier: MIT
// Follows the links of sites, and writes a JSON object for each page: `crawler --help` says how,
// docs/crawler.md what it promises.
//
// Each visit is a task, with a limit on how many run at a time and on how many ask one host. They
// share a thread, a ring and the connections that servers keep open. One more task draws the
// status. Ctrl-C begins no further visit; those at work have five seconds to end.
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/core.h>
#include <rondo/loop.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>
#include <rondo/task_group.hpp>

#include "crawl.hpp"
#include "local_frontier.hpp"
#include "options.hpp"
#include "output.hpp"
#include "shared_frontier.hpp"
#include "status.hpp"

using namespace std::chrono_literals;
using namespace crawler;

namespace {

constexpr auto crawl_grace = 5s;

void write_error_text(std::string_view text) {
    while (!text.empty()) {
        const auto size = ::write(STDERR_FILENO, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(size));
    }
}

bool has_status_line(const options& wanted) {
    const char* const terminal = std::getenv("TERM");
    return !wanted.quiet && ::isatty(STDERR_FILENO) != 0 && terminal != nullptr &&
           std::string_view(terminal) != "dumb";
}

std::size_t columns_of_terminal() {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

/// One crawl, with its parts in the order in which they depend on each other.
class session_of_crawl {
public:
    explicit session_of_crawl(const options& wanted)
        : wanted_(wanted), output_(wanted.output), gate_(wanted.per_host, wanted.delay) {}

    rondo::task<> run() {
        began_ = rondo::running_loop().time();
        co_await open();
        std::exception_ptr end;
        try {
            co_await crawl_->start();
            co_await rondo::with_task_group([this](rondo::task_group& group) -> rondo::task<> {
                auto drawing = group.start(draw());
                co_await frontier_->work(wanted_.jobs, *crawl_, crawl_grace);
                drawing.cancel();
            });
            co_await crawl_->close();
        } catch (...) {  // also rondo::cancelled, of Ctrl-C
            end = std::current_exception();
        }
        if (!wanted_.quiet) finish(rondo::cancel_requested());
        all_answered_ = crawl_->counts().errors == 0 && frontier_->counts().given_up == 0;
        crawl_.reset();
        frontier_.reset();
        if (end) std::rethrow_exception(end);
    }

    /// Of main: 0 if all pages have answered.
    int status() const { return all_answered_ ? 0 : 1; }

private:
    rondo::task<> open() {
        if (wanted_.queue.empty()) {
            frontier_ =
                std::make_unique<local_frontier>(gate_, wanted_.pages_max, wanted_.memory_max);
        } else {
            frontier_ =
                co_await open_shared_frontier(wanted_.queue, wanted_.pages_max, wanted_.lease);
        }
        crawl_.emplace(wanted_, gate_, *frontier_, output_);
    }

    rondo::duration time() const { return rondo::running_loop().time() - began_; }

    rondo::task<> draw() {
        if (!has_status_line(wanted_)) co_return;
        for (;;) {
            co_await rondo::sleep(100ms);
            write_error_text("\r" +
                             status_line(crawl_->counts(), frontier_->counts(), time(),
                                         crawl_->last_url(), columns_of_terminal() - 1) +
                             "\x1b[K");
        }
    }

    void finish(bool was_interrupted) {
        std::string text = summary(crawl_->counts(), frontier_->counts(), time(), was_interrupted);
        text += crawl_->hint();
        const crawl_counts& all = crawl_->counts();
        if (!wanted_.queue.empty() && all.pages + all.errors + all.skipped == 0)
            text += "the queue has seen these URLs before: another crawl needs another name\n";
        write_error_text(has_status_line(wanted_) ? "\r\x1b[K" + text : text);
    }

    const options& wanted_;
    output output_;
    gate gate_;
    std::unique_ptr<frontier> frontier_;
    std::optional<crawl> crawl_;
    rondo::time_point began_{};
    bool all_answered_ = false;
};

int crawl_all(const options& wanted) {
    session_of_crawl all(wanted);
    rondo::run(all.run());
    if (const int code = rondo::interrupted()) return code;
    return all.status();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const options wanted = parse_options(argc, argv);
        if (wanted.help) {
            fmt::print("{}", help_text());
            return 0;
        }
        return crawl_all(wanted);
    } catch (const usage_error& error) {
        fmt::print(stderr, "crawler: {}\n\n{}", error.what(), help_text());
        return 2;
    } catch (const std::exception& error) {
        fmt::print(stderr, "crawler: {}\n", error.what());
        return 1;
    }
}
