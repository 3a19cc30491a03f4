// SPDX-License-Identifier: MIT
// A site for tests/run_crawler.py. Its pages are made by a formula: "/p/0" to "/p/PAGES - 1", of
// which each names two further ones, in one of ten ways of writing HTML and URLs, and some that
// were named before. Around them lies what a crawler meets: redirects, loops, pages that end early
// or never, and traps that it must not walk into.
//
//     crawler_site PAGES
//
// prints its URL, and then serves. "/hits" lists how often each path was asked for.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/http/middleware.hpp>
#include <rondo/rondo.hpp>

namespace http = rondo::http;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t site_ways = 10;

/// A link to page `to`, written in one of the ways.
std::string link_to(std::size_t to, std::size_t way) {
    switch (way) {
        case 0:
            return fmt::format("<a href=\"/p/{}\">page</a>\n", to);
        case 1:
            return fmt::format("<td><a href=/p/{}>no quotes, no end <b><p>", to);
        case 2:
            return fmt::format("<A\n HREF = '{}'  >relative to a base</A>", to);
        case 3:
            return fmt::format("<a href='&#x2f;p&#47;{}&#32;'>entities</a>", to);
        case 4:
            return fmt::format("<a href='/moved/{}#part'>moved</a>", to);
        case 5:
            return fmt::format("<a href='/./x/../%70/{}?#top'>escapes</a>", to);
        case 6:
            return fmt::format("<!--><a href=\" \n/p/{} \">after an odd comment</a>", to);
        case 7:
            return fmt::format("<script>'<a href=/trap/7>'</script><area href=\\p\\{}>", to);
        case 8:
            return fmt::format("<textarea><a href=/trap/8></textarea><iframe src='/p/{}'></iframe>",
                               to);
        default:
            return fmt::format("</body></html><a href=\"/p/{}\"title=x>behind the end", to);
    }
}

class pages {
public:
    explicit pages(std::size_t count) : count_(count) {}

    rondo::task<http::reply> page(http::request& request) {
        const auto number = std::strtoul(std::string(request.parameter("n")).c_str(), nullptr, 10);
        if (number >= count_) throw http::reply_error(404);
        if (number % 50 == 49) co_await rondo::sleep(20ms);
        const std::size_t way = number % site_ways;
        std::string text = fmt::format("<!DOCTYPE html><title>page {} &lt;&amp;></title>", number);
        if (way == 2) text += "<base href=/p/>";
        for (const std::size_t to : {2 * number + 1, 2 * number + 2})
            if (to < count_) text += link_to(to, way);
        for (std::size_t i = 1; i < 6; ++i)  // some of those that were named before
            text += fmt::format("<a href='/p/{}'>back</a>", number / (2 * i));
        if (number == 0) text += oddities;
        co_return http::reply::html(std::move(text));
    }

    rondo::task<http::reply> count(http::request& request, http::next_handler next) {
        if (request.path() != "/hits") ++hits_[std::string(request.target())];
        co_return co_await next(request);
    }

    http::reply hits(http::request&) const {
        std::string text;
        for (const auto& [path, count] : hits_) text += fmt::format("{} {}\n", count, path);
        return http::reply::text(std::move(text));
    }

private:
    static constexpr std::string_view oddities =
        "<a href=/loop/a>a loop</a> <a href=/deeper/1>redirects without end</a>"
        "<a href=/private/a>forbidden</a> <a href=/private/open>allowed</a>"
        "<a href=/trap/1 rel='nofollow ugc'>a trap</a> <a href=/quiet>nofollow as a whole</a>"
        "<a href=/missing>404</a> <a href=/gone>410</a> <a href=/file.pdf>no HTML</a> <a "
        "href=/cut>ends early</a>"
        "<a href=/big>5 MB</a> <a href=/again#a>1</a> <a href=/again#b>2</a> <a href=/twin>t</a>"
        "<a href='mailto:me@example.org'>me</a> <a href='http://elsewhere.invalid/'>away</a>"
        "<a href='http://['>no URL</a> <img src=/image.png srcset='/image2.png 2x, /image3.png "
        "3x'>";

    std::size_t count_;
    std::map<std::string, std::size_t> hits_;
};

http::reply moved(http::request& request) {
    return http::reply::redirect(fmt::format("/p/{}", request.parameter("n")), 301);
}

http::reply loop(http::request& request) {
    return http::reply::redirect(request.parameter("x") == "a" ? "/loop/b" : "/loop/a", 302);
}

http::reply deeper(http::request& request) {
    const int number = std::atoi(std::string(request.parameter("n")).c_str());
    return http::reply::redirect(fmt::format("/deeper/{}", number + 1), 307);
}

http::reply trap(http::request&) { return http::reply::html("<a href=/trap/2>on</a>"); }

http::reply plain(http::request&) { return http::reply::html("<p>plain"); }

http::reply robots(http::request&) {
    return http::reply::text(
        "User-agent: *\nDisallow: /private\nAllow: /private/open$\n"
        "Sitemap: /sitemap.xml\n");
}

rondo::task<> write_cut(http::body_writer& out) {
    co_await out.write_all(std::string_view("<a href=/trap/3>the half of a page"));
    throw std::runtime_error("cut on purpose");
}

rondo::task<> write_big(http::body_writer& out) {
    co_await out.write_all(std::string_view("<title>big</title>"));
    const std::string text(50'000, ' ');
    for (int i = 0; i < 100; ++i) co_await out.write_all(text);
    co_await out.write_all(std::string_view("<a href=/trap/4>at the end</a>"));
}

void add_oddities(http::router& site) {
    site.get("/moved/{n}", moved).get("/loop/{x}", loop).get("/deeper/{n}", deeper);
    site.get("/trap/{n}", trap).get("/private/{x}", plain).get("/robots.txt", robots);
    site.get("/quiet", [](http::request&) {
        return http::reply::html("<meta name=ROBOTS content='NoFollow,noindex'><a href=/trap/5>");
    });
    site.get("/gone", [](http::request&) { return http::reply::html("<a href=/trap/9>", 410); });
    site.get("/away",
             [](http::request&) { return http::reply::redirect("http://elsewhere.invalid/"); });
    site.get("/again", plain).get("/hidden", plain);
    site.get("/twin", [](http::request&) {
        return http::reply::bytes("<link rel=canonical href=/again><title>\xe4</title>",
                                  "text/html; charset=iso-8859-1");
    });
    site.get("/file.pdf", [](http::request&) {
        return http::reply::bytes("<a href=/trap/6>", "application/pdf");
    });
    site.get("/image.png", [](http::request&) { return http::reply::bytes("1234", "image/png"); });
    site.get("/cut", [](http::request&) { return http::reply::stream("text/html", write_cut); });
    site.get("/big", [](http::request&) { return http::reply::stream("text/html", write_big); });
    site.get("/sitemap.xml", [](http::request&) {
        return http::reply::bytes(
            "<?xml version='1.0'?><urlset><url><loc>/hidden</loc></url></urlset>",
            "application/xml");
    });
}

rondo::task<> serve_site(std::size_t count) {
    pages all(count);
    http::router site;
    site.use([&all](http::request& request, http::next_handler next) {
        return all.count(request, std::move(next));
    });
    site.use(http::compress());
    site.get("/p/{n}", &pages::page, &all);
    site.get("/hits", &pages::hits, &all);
    add_oddities(site);
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    fmt::print("http://{}/p/0\n", listener.local().text());
    std::fflush(stdout);
    co_await http::serve(std::move(listener), site);
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100;
    rondo::run(serve_site(count));
}
