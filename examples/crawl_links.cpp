// SPDX-License-Identifier: MIT
// Follows the links of a site, and lists the pages with the status of each. One task for each page:
// the session lets six of them at a time ask the host.
// Run: crawl_links URL [PAGES]
#include <cstdlib>
#include <exception>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

namespace http = rondo::http;

/// The values of all href="…" in a page. A real program asks a parser of HTML.
std::vector<std::string> links_in(std::string_view page) {
    std::vector<std::string> all;
    constexpr std::string_view before = "href=\"";
    for (std::size_t at = page.find(before); at != page.npos; at = page.find(before, at)) {
        at += before.size();
        all.emplace_back(page.substr(at, page.find('"', at) - at));
    }
    return all;
}

class crawler {
public:
    crawler(http::url start, std::size_t pages_max) : start_(std::move(start)), max_(pages_max) {}

    rondo::task<> run() {
        co_await rondo::with_task_group([this](rondo::task_group& group) -> rondo::task<> {
            follow(group, start_);
            co_return;
        });
        for (const auto& [page, outcome] : pages_) fmt::print("{} {}\n", outcome, page);
    }

private:
    void follow(rondo::task_group& group, const http::url& page) {
        const bool is_ours = page.origin() == start_.origin();
        if (!is_ours || pages_.size() == max_) return;
        const std::string name(page.target());
        const bool is_new = pages_.try_emplace(name, "?").second;
        if (is_new) group.start(visit(group, page, name));
    }

    rondo::task<> visit(rondo::task_group& group, http::url page, std::string name) {
        try {
            auto response = co_await http_.get(page.text());
            pages_[name] = std::to_string(response.status());
            const http::parameters type(response.header("content-type").value_or(""));
            if (!response.ok() || type.value() != "text/html") co_return;
            for (const std::string& link : links_in(co_await response.text()))
                follow_link(group, response.url(), link);
        } catch (const std::exception& error) {
            pages_[name] = error.what();
        }
    }

    void follow_link(rondo::task_group& group, const http::url& page, const std::string& link) {
        try {
            follow(group, page.resolve(link).without_fragment());
        } catch (const http::url_error&) {  // pages have all kinds of things in a href
        }
    }

    http::session http_;
    http::url start_;
    std::size_t max_;
    std::map<std::string, std::string> pages_;  // and the outcome
};

rondo::task<> crawl(std::string url, std::size_t pages_max) {
    crawler all(http::url(url), pages_max);
    co_await all.run();
}

int main(int argc, char** argv) {
    if (argc != 2 && argc != 3) {
        fmt::print(stderr, "usage: {} URL [PAGES]\n", argv[0]);
        return 2;
    }
    try {
        rondo::run(crawl(argv[1], argc == 3 ? std::strtoul(argv[2], nullptr, 10) : 100));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
