// SPDX-License-Identifier: MIT
// The parts of the crawler: robots.txt, links of broken pages, forms of URLs, lines of JSON, and
// the order of the work. Whole crawls are in tests/run_crawler.py.
#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/loop.hpp>

#include "../../examples/crawler/address.hpp"
#include "../../examples/crawler/charset.hpp"
#include "../../examples/crawler/gate.hpp"
#include "../../examples/crawler/local_frontier.hpp"
#include "../../examples/crawler/options.hpp"
#include "../../examples/crawler/page.hpp"
#include "../../examples/crawler/queue_address.hpp"
#include "../../examples/crawler/result.hpp"
#include "../../examples/crawler/robots.hpp"
#include "../../examples/crawler/status.hpp"
#include "support/rondo_test.hpp"

using namespace crawler;
using namespace std::chrono_literals;
using rondo::http::url;
using strings = std::vector<std::string>;

namespace {

strings links_of(const std::string& html, page_link::kind of = page_link::kind::page) {
    strings result;
    for (const page_link& one : read_page(html, url("http://h/a/b"), "rondo-crawler").links)
        if (one.of == of) result.push_back(one.to.text());
    return result;
}

strings part_links_of(const std::string& html) { return links_of(html, page_link::kind::part); }

std::string normal(const char* text) { return normalized(url(text)).text(); }

bool allowed(const std::string& robots, const char* target) {
    return robots_rules(robots, "rondo-crawler").allows(target);
}

crawler::options parse(strings words) {
    words.insert(words.begin(), "crawler");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    return parse_options(static_cast<int>(words.size()), argv.data());
}

std::string usage_problem(const strings& words) {
    try {
        parse(words);
    } catch (const usage_error& error) {
        return error.what();
    }
    return "";
}

template <class... Text>
std::vector<target> targets(const Text&... urls) {
    std::vector<target> result;
    (result.emplace_back(urls, 0U, 0U), ...);
    return result;
}

/// A site without a network: each page takes a second, and names pages by a rule.
class imaginary_site final : public visitor {
public:
    explicit imaginary_site(frontier& work) : work_(work) {}

    rondo::task<> visit(const target& page) override {
        visited.insert(page.url);
        starts.push_back(rondo::running_loop().time());
        most_at_work = std::max(most_at_work, ++at_work_);
        const at_end leaving{at_work_};
        co_await rondo::sleep(takes);
        if (fails) throw std::runtime_error("the results cannot be written");
        std::vector<target> found;
        for (std::size_t i = 0; i < names; ++i) found.emplace_back(next(), page.depth + 1, 0U);
        co_await work_.put(std::move(found));
        ++finished;
    }

    std::size_t names = 0;  // pages that each page names
    std::size_t pages = 0;  // that there are
    rondo::duration takes = 1s;
    bool fails = false;
    std::multiset<std::string> visited;
    std::vector<rondo::time_point> starts;
    std::size_t most_at_work = 0;
    std::size_t finished = 0;

private:
    struct at_end {
        std::size_t& count;
        ~at_end() { --count; }
    };
    std::string next() { return "http://h/" + std::to_string(named_++ % pages); }

    frontier& work_;
    std::size_t named_ = 0;
    std::size_t at_work_ = 0;
};

}  // namespace

TEST_CASE("crawler: the group that names the crawler holds, and the longest rule wins",
          "[crawler]") {
    const std::string text =
        "# a comment\nUser-agent: *\nDisallow: /\n\n"
        "user-AGENT : Rondo-Crawler/2.0 # us\r\nUser-agent: other\rDisallow: /a\n"
        "Allow: /a/b\nDisallow: /*.pdf$\nDisallow:\nnonsense\nDisallow: /q?*x=1\n";
    CHECK(allowed(text, "/"));
    CHECK_FALSE(allowed(text, "/a"));
    CHECK_FALSE(allowed(text, "/abc"));
    CHECK(allowed(text, "/a/b/c"));
    CHECK(allowed(text, "/A"));
    CHECK_FALSE(allowed(text, "/x.pdf"));
    CHECK(allowed(text, "/x.pdf?y"));
    CHECK_FALSE(allowed(text, "/q?a=2&x=1"));
    CHECK(allowed(text, "/robots.txt"));
    CHECK_FALSE(robots_rules(text, "somebody-else").allows("/b"));
    CHECK(allowed("User-agent: *\nDisallow: /x\nAllow: /x\n", "/x"));  // equally long: allowed
    CHECK(allowed("Disallow: /\n", "/a"));                             // in no group
    CHECK_FALSE(robots_rules::forbid_all().allows("/a"));
    CHECK(robots_rules().allows("/a"));
}

TEST_CASE("crawler: groups of one name hold together, and escapes are compared by their meaning",
          "[crawler]") {
    const std::string text =
        "\xef\xbb\xbfUser-agent: rondo-crawler\nDisallow: /a\nCrawl-delay: 1.5\n"
        "User-agent: *\nDisallow: /c\nUser-agent: rondo-crawler\nDisallow: /%7eb/\xc3\xa4\n"
        "Sitemap: http://h/map.xml\n";
    CHECK_FALSE(allowed(text, "/a"));
    CHECK_FALSE(allowed(text, "/~b/%C3%A4"));
    CHECK_FALSE(allowed(text, "/%7Eb/%c3%a4x"));
    CHECK(allowed(text, "/c"));
    const robots_rules rules(text, "rondo-crawler");
    CHECK(rules.crawl_delay() == 1500ms);
    CHECK(rules.sitemaps() == strings{"http://h/map.xml"});
    const std::string padding(robots_rules::text_max, '#');
    CHECK(allowed("User-agent: *\n" + padding + "\nDisallow: /\n", "/a"));  // beyond 500 KiB
    CHECK(allowed(std::string("\0\xff: \r:\n*", 8), "/"));
    CHECK_FALSE(robots_rules("user-agent: *\ncrawl-delay: nan", "x").crawl_delay());
}

TEST_CASE("crawler: patterns of robots.txt match as RFC 9309 says", "[crawler]") {
    CHECK(robots_match("/a*b*c", "/axxbyyc-and-more"));
    CHECK_FALSE(robots_match("/a*b*c$", "/abcb"));
    CHECK(robots_match("/a*c$", "/abcbc"));
    CHECK(robots_match("*", ""));
    CHECK(robots_match("/$", "/"));
    CHECK_FALSE(robots_match("/$", "/a"));
    CHECK(robots_match("/a$b", "/a$b"));
    // No pattern takes exponential time.
    std::string stars;
    for (int i = 0; i < 200; ++i) stars += "*a";
    CHECK_FALSE(robots_match(stars + "b", std::string(2000, 'a')));
    CHECK(product_token("rondo-crawler/0.1 (+http://x)") == "rondo-crawler");
}

TEST_CASE("crawler: links of broken pages are those that a browser sees", "[crawler]") {
    const std::vector<std::pair<std::string, strings>> rows = {
        {"<a href=c>1<a href='/d'>2", {"http://h/a/c", "http://h/d"}},
        {"<!--><a href=x>", {"http://h/a/x"}},
        {"<!-- a --!><A HREF = x >", {"http://h/a/x"}},
        {"<!-- <a href=x> -->", {}},
        {"<script>'<a href=no>'</script/><a href=x>", {"http://h/a/x"}},
        {"<style>a{}</st<a href=no></style><a href=x>", {"http://h/a/x"}},
        {"<title><a href=no></title><textarea><a href=no></textarea><a href=x>", {"http://h/a/x"}},
        {"</body></html><a href=x>", {"http://h/a/x"}},
        {"<table><a href=x><tr><td><a href=y>", {"http://h/a/x", "http://h/a/y"}},
        {"<div <a href=no><a href=x href=no>", {"http://h/a/x"}},
        {std::string("<a href=x\0y>", 12), {"http://h/a/x%EF%BF%BDy"}},
        {"<a href='?a=1&amp;b=2&copy=3'>", {"http://h/a/b?a=1&b=2&copy=3"}},
        {"<a href='&#x2F;&#97;&auml;'>", {"http://h/a%C3%A4"}},
        {"<a href=\"\n /x\ty \">", {"http://h/xy"}},
        {"<a href='\\x\\y?\\z'>", {"http://h/x/y?%5Cz"}},
        {"<area href=x><iframe src=y></iframe><svg><a xlink:href=z></a></svg>",
         {"http://h/a/x", "http://h/a/y", "http://h/a/z"}},
        {"<meta http-equiv=refresh content='3; URL=\"x\"'>", {"http://h/a/x"}},
        {"<a href=x#1><a href=x#2><a href=./x><a href=X>", {"http://h/a/x", "http://h/a/X"}},
        {"<a href><a href=''><a href=mailto:a@b><a href='javascript:x()'><a href=http://[>", {}},
        {"<template><a href=no></template><noscript><a href=x></noscript>", {"http://h/a/x"}},
        {"<link rel='next' href=n><link rel=preload href=no>", {"http://h/a/n"}},
    };
    for (const auto& [html, expected] : rows) {
        INFO(html);
        CHECK(links_of(html) == expected);
    }
    CHECK(links_of("<a href=" + std::string(3000, 'x') + ">").empty());
}

TEST_CASE("crawler: base, srcset, canonical, nofollow and the title of a page", "[crawler]") {
    const std::string html =
        "<title>\n a  title &lt;3\n</title><base target=_top><base href='//other/dir/x'>"
        "<base href=/no><a href=l rel='noopener NoFollow'><link rel=canonical href=c>"
        "<meta name=robots content='noindex , NOFOLLOW'><svg><title>no</title></svg>";
    const page_content page = read_page(html, url("https://h/a/b"), "rondo-crawler");
    CHECK(page.title == "a title <3");
    REQUIRE(page.links.size() == 2);
    CHECK(page.links[0].to.text() == "https://other/dir/l");
    CHECK_FALSE(page.links[0].is_followed);
    CHECK(page.canonical == "https://other/dir/c");
    CHECK_FALSE(page.may_index);
    CHECK_FALSE(page.may_follow);
    CHECK(read_page("<meta name=other-bot content=none>", url("http://h/"), "us").may_follow);
    CHECK_FALSE(read_page("<meta name=US content=none>", url("http://h/"), "us").may_follow);

    CHECK(
        part_links_of("<img src=i srcset='a 1x, b,c 2x,d'><source srcset=', e ,'>") ==
        strings{"http://h/a/i", "http://h/a/a", "http://h/a/b,c", "http://h/a/d", "http://h/a/e"});
    CHECK(part_links_of("<script src=s></script><link rel=stylesheet href=t><video poster=p>") ==
          strings{"http://h/a/s", "http://h/a/t", "http://h/a/p"});
    CHECK(
        read_sitemap("<?xml version='1.0'?><urlset><url><loc>\n http://h/?a&amp;b </loc></url>") ==
        strings{"http://h/?a&b"});
}

TEST_CASE("crawler: a page that is made to be slow is given up", "[crawler]") {
    std::string html;
    for (int i = 0; i < 300'000; ++i) html += "<b>";
    CHECK_THROWS_AS(read_page(html, url("http://h/"), "us"), page_too_complex);
    std::string deep;
    for (int i = 0; i < 2'000; ++i) deep += "<div>";  // deep, and bearable
    CHECK(links_of(deep + "<a href=x>") == strings{"http://h/a/x"});
}

TEST_CASE("crawler: pages in other encodings become UTF-8", "[crawler]") {
    CHECK(charset_of("<meta charset=\"KOI8-R\">", "") == "KOI8-R");
    CHECK(charset_of("<meta http-equiv=x content='text/html; charset=big5'>", "") == "big5");
    CHECK(charset_of("<meta charset=big5>", "shift_jis") == "shift_jis");
    CHECK(charset_of("\xff\xfe<", "utf-8") == "utf-16le");
    CHECK(charset_of("<p>", "") == "utf-8");
    CHECK(charset_of("<p>", "ISO-8859-1") == "windows-1252");
    CHECK(charset_of("<p>", "../../x") == "utf-8");
    CHECK(charset_of("<meta charset=utf-16>", "") == "utf-8");
    CHECK(to_utf8("\x80\xe4", "windows-1252") == "€ä");
    CHECK(to_utf8("a\xff\x82", "shift_jis") == "a\xef\xbf\xbd\xef\xbf\xbd");
    CHECK(to_utf8("\xe4", "no-such-thing") == "\xe4");
    CHECK(to_utf8(std::string(40'000, '\xe4'), "windows-1252").size() == 80'000);
}

TEST_CASE("crawler: all spellings of a URL are one", "[crawler]") {
    CHECK(normal("HTTP://User:Pw@H.Example:80/%7Ea/./b/%2E%2E/%2f?#x") ==
          "http://h.example/~a/%2F");
    CHECK(normal("https://h:443") == "https://h/");
    CHECK(normal("https://h:80/?a=%7e&b=%c3") == "https://h:80/?a=~&b=%C3");
    CHECK(normal("http://h//a//%2") == "http://h//a//%2");
    CHECK(resolved(url("http://h/a/b?c"), "?d=\xc3\xa4")->text() == "http://h/a/b?d=%C3%A4");
    CHECK_FALSE(resolved(url("http://h/"), "ftp://h/"));
    CHECK_FALSE(resolved(url("http://h/"), "http://h:99999/"));

    host_list hosts;
    hosts.add_start(url("http://h/"));
    hosts.add_start(url("http://p:81/"));
    hosts.add(".Example.org");
    const std::vector<std::pair<const char*, bool>> rows = {{"https://h/x", true},
                                                            {"http://h:8080/", false},
                                                            {"http://p:81/", true},
                                                            {"http://p/", false},
                                                            {"http://a.example.org/", true},
                                                            {"http://example.org/", true},
                                                            {"http://badexample.org/", false}};
    for (const auto& [text, expected] : rows) CHECK(hosts.contains(url(text)) == expected);
    CHECK_THROWS_AS(hosts.add("a/b"), std::invalid_argument);
    hosts.add("*");
    CHECK(hosts.contains(url("http://anything:1/")));
}

TEST_CASE("crawler: a result is one line of JSON whatever a page contains", "[crawler]") {
    page_result result;
    result.url = "http://h/";
    result.status = 200;
    result.title = "\"\\\n\xff\xed\xa0\x80ä\x7f";
    result.bytes = 0;
    result.links = 1;
    result.to = {"http://h/a"};
    result.time = 1500us;
    CHECK(json_line(result) ==
          R"({"url":"http://h/","depth":0,"status":200,)"
          R"("title":"\"\\\u000a\ufffd\ufffd\ufffd\ufffdä\u007f","bytes":0,"links":1,)"
          R"("to":["http://h/a"],"time":0.001500})");
    page_result skipped;
    skipped.url = "http://h/b";
    skipped.skipped = "robots.txt";
    CHECK(json_line(skipped) == R"({"url":"http://h/b","depth":0,"skipped":"robots.txt"})");

    crawl_counts counts;
    counts.add(result);
    counts.add(skipped);
    CHECK(status_line(counts, {40, 8, 0}, 2s, "http://h/a/long/path", 70) ==
          "1 page, 40 waiting, 8 at work, 0 B, 0.5/s  http://h/a/long/path");
    for (std::size_t columns = 0; columns < 90; ++columns)
        CHECK(status_line(counts, {40, 8, 0}, 2s, "http://h/a/long/path", columns).size() <=
              columns);
    CHECK(summary(counts, {3, 1, 0}, 2s, true) ==
          "interrupted: 1 page, 0 B in 2.0 s (0.5/s), 1 skipped, 4 not visited\n");
}

TEST_CASE("crawler: a wrong command line is refused with the word that is wrong", "[crawler]") {
    const crawler::options wanted =
        parse({"http://H:80/a#b", "--delay=0.5", "-j", "3", "--host", ".x", "-o", "f"});
    CHECK(wanted.urls.at(0).text() == "http://h/a");
    CHECK(wanted.delay == 500ms);
    CHECK(wanted.jobs == 3);
    CHECK(usage_problem({}) == "no URL is given");
    CHECK(usage_problem({"http://h", "-j", "0"}) == "-j: \"0\" is not a number from 1 to 1024");
    CHECK(usage_problem({"http://h", "--delay=nan"}).starts_with("--delay: \"nan\" is"));
    CHECK(usage_problem({"http://h", "--nonsense"}) == "--nonsense: no such option");
    CHECK(usage_problem({"http://h", "--sitemap=1"}) == "--sitemap: takes no argument");
    CHECK(usage_problem({"http://h", "-x"}) == "-x: no such option");
    CHECK(usage_problem({"http://h", "--depth"}) == "--depth: an argument is missing");
    CHECK(usage_problem({"ftp://h"}) == "ftp://h: no URL of http");
    CHECK(usage_problem({"http://h", "--host", "a b"}).starts_with("--host: \"a b\" is no host"));
    CHECK(parse({"--help", "-j", "0"}).help);
}

RONDO_TEST("crawler: every page is visited once, though each names many and few fit in memory",
           "[crawler][both]") {
    gate hosts(8, 0s);
    local_frontier work(hosts, 0, 5);
    imaginary_site site(work);
    site.names = 30;
    site.pages = 400;
    site.takes = 1ms;
    co_await work.put(targets("http://h/0", "http://h/0"));
    co_await work.work(16, site, 5s);
    CHECK(site.visited.size() == 400);
    CHECK(std::set<std::string>(site.visited.begin(), site.visited.end()).size() == 400);
    CHECK(site.most_at_work == 8);  // the limit of a host
    CHECK(work.counts().waiting == 0);
}

RONDO_TEST("crawler: no more pages than the limit, and those beyond are counted", "[crawler]") {
    gate hosts(2, 0s);
    local_frontier work(hosts, 3, 100);
    imaginary_site site(work);
    co_await work.put(
        targets("http://h/1", "http://h/2", "http://h/1", "http://h/3", "http://h/4"));
    co_await work.work(16, site, 5s);
    CHECK(site.visited.size() == 3);
    CHECK(work.counts().dropped == 1);
}

RONDO_TEST("crawler: a slow host delays no other", "[crawler]") {
    gate hosts(1, 0s);
    hosts.slow_down("http://slow", 100s);
    local_frontier work(hosts, 0, 100);
    imaginary_site site(work);
    co_await work.put(targets("http://slow/1", "http://slow/2", "http://h/1", "http://h/2"));
    // The gate counts requests, which this site has none of.
    static_cast<void>(co_await hosts.enter("http://slow"));
    const auto began = rondo::running_loop().time();
    co_await work.work(4, site, 5s);
    REQUIRE(site.starts.size() == 4);
    CHECK(site.starts[1] - began == 1s);
    CHECK(site.starts[2] - began == 100s);
}

RONDO_TEST("crawler: requests to a host keep their distance, and only so many run at a time",
           "[crawler]") {
    gate hosts(2, 3s);
    const auto began = rondo::running_loop().time();
    std::vector<rondo::duration> starts;
    const auto ask = [&](const char* host) -> rondo::task<> {
        const rondo::permit turn = co_await hosts.enter(host);
        starts.push_back(rondo::running_loop().time() - began);
        co_await rondo::sleep(10s);
    };
    std::vector<rondo::task<>> all;
    for (const char* const host : {"a", "a", "a", "b"}) all.push_back(ask(host));
    co_await rondo::gather(std::move(all));
    std::sort(starts.begin(), starts.end());
    CHECK(starts == std::vector<rondo::duration>{0s, 0s, 3s, 10s});
}

RONDO_TEST("crawler: a cancelled crawl begins no visit, and ends those at work", "[crawler]") {
    gate hosts(1, 0s);
    local_frontier work(hosts, 0, 100);
    imaginary_site site(work);
    co_await work.put(targets("http://a/1", "http://a/2", "http://b/1"));
    CHECK_FALSE(co_await rondo::move_on_after(500ms, work.work(4, site, 5s)));
    CHECK(site.finished == 2);
    CHECK(work.counts().waiting == 1);
    CHECK(work.counts().at_work == 0);
}

RONDO_TEST("crawler: visits that take longer than the grace time are cancelled", "[crawler]") {
    gate hosts(1, 0s);
    local_frontier work(hosts, 0, 100);
    imaginary_site site(work);
    site.takes = 1h;
    co_await work.put(targets("http://a/1"));
    const auto began = rondo::running_loop().time();
    CHECK_FALSE(co_await rondo::move_on_after(500ms, work.work(4, site, 5s)));
    CHECK(rondo::running_loop().time() - began == 5500ms);
    CHECK(site.finished == 0);
}

RONDO_TEST("crawler: an error that ends the crawl comes out of it", "[crawler]") {
    gate hosts(4, 0s);
    local_frontier work(hosts, 0, 100);
    imaginary_site site(work);
    site.fails = true;
    co_await work.put(targets("http://a/1"));
    std::string problem;
    try {
        co_await work.work(4, site, 5s);
    } catch (const std::runtime_error& error) {
        problem = error.what();
    }
    CHECK(problem == "the results cannot be written");
}

TEST_CASE("crawler: a target is a line and back", "[crawler]") {
    const target page("http://h/a?b", 3, 2);
    const auto again = target::parse(page.text());
    REQUIRE(again);
    CHECK(again->text() == "3 2 http://h/a?b");
    CHECK_FALSE(target::parse("3 http://h/"));
    CHECK_FALSE(target::parse("-1 2 x"));
    CHECK_FALSE(target::parse("1 2 "));
}

TEST_CASE("crawler: a queue is named after its server, and a page by its URL", "[crawler]") {
    CHECK(queue_address("redis://u:p@host:6380/3/docs").server == "redis://u:p@host:6380/3");
    CHECK(queue_address("redis://host/docs").server == "redis://host");
    CHECK(queue_address("redis://host/docs").name == "docs");
    CHECK(queue_address("unix:///run/a/r.sock#docs").server == "unix:///run/a/r.sock");
    CHECK(queue_address("unix:///run/a/r.sock#docs").name == "docs");
    for (const char* const text : {"redis://host", "redis://host/", "host/x", "unix:///x.sock", ""})
        CHECK_THROWS_AS(queue_address(text), usage_error);

    const std::string longest(2000, 'x');
    CHECK(queue_id("http://h/") == "http://h/");
    CHECK(queue_id(longest + "1").size() <= 1024);
    CHECK(queue_id(longest + "1") != queue_id(longest + "2"));
}
