// SPDX-License-Identifier: MIT
// Asks, reads, and decides what to follow.
#include "crawl.hpp"

#include <exception>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include <rondo/http/fields.hpp>
#include <rondo/http/response.hpp>
#include <rondo/loop.hpp>
#include <rondo/tls_context.hpp>
#include <rondo/to_thread.hpp>

#include "charset.hpp"

namespace crawler {

namespace {

namespace http = rondo::http;

constexpr unsigned redirects_max = 10;
constexpr std::size_t parse_here_max = std::size_t{64} * 1024;  // takes about 2 ms

http::session_options session_for(const options& wanted) {
    http::session_options result;
    result.connections = wanted.jobs;
    result.connections_per_host = wanted.per_host;
    result.cookies = false;
    result.timeouts.total = wanted.timeout;
    return result;
}

http::retry_policy retries_for(const options& wanted) {
    http::retry_policy result;
    result.attempts = wanted.retries + 1;
    return result;
}

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_page(std::string_view type) {
    return type.empty() || http::same_word(type, "text/html") ||
           http::same_word(type, "application/xhtml+xml");
}

bool is_xml(std::string_view type) {
    return http::same_word(type, "application/xml") || http::same_word(type, "text/xml");
}

/// The directives of X-Robots-Tag: "noindex", or "rondo-crawler: noindex" for one crawler.
void read_robots_tags(const http::fields& headers, std::string_view agent, page_content& into) {
    for (std::string_view text : headers.get_all("x-robots-tag")) {
        const auto colon = text.find(':');
        if (colon != text.npos) {
            if (!http::same_word(text.substr(0, colon), agent)) continue;
            text.remove_prefix(colon + 1);
        }
        read_directives(text, into);
    }
}

/// The body as far as `bytes_max` allows.
rondo::task<std::string> body_of(http::response& from, std::size_t bytes_max, page_result& result) {
    std::string body;
    result.bytes = 0;
    while (const auto piece = co_await from.read_some()) {
        const std::size_t room = bytes_max - body.size();
        body += std::string_view(piece.text()).substr(0, room);
        result.bytes = body.size();
        result.is_cut = piece.size() > room;
        if (result.is_cut) break;
    }
    co_return body;
}

}  // namespace

crawl::crawl(const options& wanted, gate& hosts, frontier& work, output& results)
    : wanted_(wanted),
      retries_(retries_for(wanted)),
      agent_(product_token(wanted.user_agent)),
      gate_(hosts),
      work_(work),
      output_(results),
      web_(session_for(wanted)),
      robots_(web_, hosts, agent_, retries_) {
    web_.headers().set("user-agent", wanted.user_agent);
    if (!wanted.ca_file.empty()) {
        rondo::tls::client_context trust;
        trust.trust_file(wanted.ca_file);
        web_.tls(std::move(trust));
    }
    for (const http::url& start : wanted.urls) hosts_.add_start(start);
    for (const std::string& host : wanted.hosts) hosts_.add(host);
}

rondo::task<> crawl::start() {
    targets all;
    for (const http::url& url : wanted_.urls) all.emplace_back(url.text(), 0U, 0U);
    co_await work_.put(std::move(all));
}

// The pages that this one names are put before its result is written, and its result is written
// before the visit ends: a process that dies in between leaves nothing out, and repeats the page.
rondo::task<> crawl::visit(const target& page) {
    page_result result;
    result.url = page.url;
    result.depth = page.depth;
    targets found;
    host_rules* host = nullptr;
    const rondo::time_point began = rondo::running_loop().time();
    try {
        co_await ask(page, result, found, host);
    } catch (const std::exception& error) {
        result.error = error.what();
    }
    if (result.time == rondo::duration::zero()) result.time = rondo::running_loop().time() - began;
    if (!found.empty()) co_await work_.put(std::move(found));
    // Not before: a visit that is cancelled leaves the sitemaps to the next one.
    if (host != nullptr) host->has_put_sitemaps = true;
    const std::string line = json_line(result);
    co_await output_.write(line);
    counts_.add(result);
    last_url_ = page.url;
}

rondo::task<> crawl::ask(const target& page, page_result& result, targets& found,
                         host_rules*& host) {
    const http::url where(page.url);
    if (wanted_.robots) {
        host = co_await robots_.of(where);
        if (!host->failure.empty()) {
            result.error = host->failure;
            co_return;
        }
        if (wanted_.sitemap && !host->has_put_sitemaps) name_sitemaps(where, *host, found);
        if (!host->rules.allows(where.target())) {
            result.skipped = "robots.txt";
            co_return;
        }
    }
    const rondo::permit turn = co_await gate_.enter(where.origin());
    const rondo::time_point began = rondo::running_loop().time();
    co_await fetch(page, result, found);
    result.time = rondo::running_loop().time() - began;
}

struct crawl::answer {
    http::response response;
    http::parameters type;
};

rondo::task<> crawl::fetch(const target& page, page_result& result, targets& found) {
    http::response response = co_await web_.get(page.url).redirects(0).retries(retries_);
    http::parameters type(response.header("content-type").value_or(""));
    answer from{std::move(response), std::move(type)};
    result.status = from.response.status();
    result.type = from.type.value();
    if (is_redirect(result.status)) {
        const auto to =
            resolved(from.response.url(), from.response.header("location").value_or(""));
        if (to) result.location = to->text();
        if (!to || page.redirects >= redirects_max)
            result.error = to ? fmt::format("more than {} redirects", redirects_max)
                              : "a redirect without a URL";
        else
            follow_redirect(page, *to, found);
        co_return;
    }
    const bool is_read = is_page(result.type) || (wanted_.sitemap && is_xml(result.type));
    if (is_read && from.response.ok())  // links in pages of errors lead nowhere
        co_await read(from, page, result, found);
    else
        result.bytes = from.response.content_length();
}

rondo::task<> crawl::read(answer& from, const target& page, page_result& result, targets& found) {
    std::string body = co_await body_of(from.response, wanted_.bytes_max, result);
    const http::url address(page.url);
    page_content content;
    if (is_xml(result.type)) {
        for (const std::string& text : read_sitemap(body))
            if (auto to = resolved(address, text))
                content.links.emplace_back(std::move(*to), page_link::kind::page, true);
    } else {
        const std::string charset = charset_of(body, from.type.get("charset").value_or(""));
        body = to_utf8(std::move(body), charset);
        if (body.size() <= parse_here_max)
            content = read_page(body, address, agent_);
        else
            content = co_await rondo::to_thread(read_page, std::string_view(body), address,
                                                std::string_view(agent_));
        read_robots_tags(from.response.headers(), agent_, content);
    }
    follow_links(page, content, result, found);
}

void crawl::follow_redirect(const target& page, const http::url& to, targets& found) {
    if (page.depth == 0 && !hosts_.contains(to))
        hint_ = fmt::format("{} leads to {}: --host {} follows it\n", page.url, to.origin(),
                            to.authority());
    follow(to, page.depth, page.redirects + 1, found);
}

void crawl::follow_links(const target& page, const page_content& content, page_result& result,
                         targets& found) const {
    result.title = content.title;
    result.is_noindex = !content.may_index;
    if (content.canonical != page.url) result.canonical = content.canonical;
    result.links = content.links.size();
    for (const page_link& one : content.links) {
        if (wanted_.list_links) result.to.push_back(one.to.text());
        const bool is_wanted = one.of == page_link::kind::page || wanted_.parts;
        if (content.may_follow && one.is_followed && is_wanted && page.depth < wanted_.depth)
            follow(one.to, page.depth + 1, 0, found);
    }
}

void crawl::follow(const http::url& to, unsigned depth, unsigned redirects, targets& found) const {
    if (hosts_.contains(to)) found.emplace_back(to.text(), depth, redirects);
}

void crawl::name_sitemaps(const http::url& where, const host_rules& host, targets& found) const {
    for (const std::string& text : host.rules.sitemaps())
        if (const auto to = resolved(where, text)) follow(*to, 0, 0, found);
}

}  // namespace crawler
