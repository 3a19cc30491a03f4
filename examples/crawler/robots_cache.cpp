// SPDX-License-Identifier: MIT
// Asks for robots.txt, and what its status means (RFC 9309, section 2.3.1).
#include "robots_cache.hpp"

#include <exception>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include <rondo/http/error.hpp>

namespace crawler {

rondo::task<host_rules*> robots_cache::of(const rondo::http::url& page) {
    const std::string origin = page.origin();
    host_rules* const rules = &hosts_[origin];
    co_await rules->asked.call(
        [this](const std::string& host, host_rules* into) { return ask(host, into); }, origin,
        rules);
    co_return rules;
}

rondo::task<> robots_cache::ask(std::string origin, host_rules* into) {
    const rondo::permit turn = co_await gate_.enter(origin);
    try {
        co_await read(origin + "/robots.txt", *into);
    } catch (const rondo::http::redirect_error&) {  // five of them: as if there were no file
        into->rules = robots_rules();
    } catch (const std::exception& error) {
        into->failure = fmt::format("robots.txt: {}", error.what());
    }
    if (!into->failure.empty()) into->rules = robots_rules::forbid_all();
    if (const auto delay = into->rules.crawl_delay()) gate_.slow_down(origin, *delay);
}

rondo::task<> robots_cache::read(const std::string& url, host_rules& into) {
    rondo::http::response response = co_await web_.get(url).redirects(5).retries(retries_);
    if (response.status() >= 500)
        into.failure = fmt::format("robots.txt: {} {}", response.status(), response.reason());
    if (response.status() >= 300) co_return;
    std::string text;
    while (text.size() < robots_rules::text_max) {
        const auto piece = co_await response.read_some();
        if (!piece) break;
        text += piece.text();
    }
    into.rules = robots_rules(text, agent_);
}

}  // namespace crawler
