// SPDX-License-Identifier: MIT
// getopt_long, numbers and their ranges.
#include "options.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <system_error>

#include <getopt.h>

#include <fmt/core.h>

#include "address.hpp"

namespace crawler {

namespace {

enum flag : int {
    host = 256,
    depth,
    max_pages,
    max_bytes,
    queue_size,
    per_host,
    delay,
    timeout,
    retries,
    user_agent,
    ignore_robots,
    sitemap,
    parts,
    list_links,
    ca_file,
    queue,
    lease
};

const option crawler_options[] = {
    {"host", required_argument, nullptr, host},
    {"depth", required_argument, nullptr, depth},
    {"max-pages", required_argument, nullptr, max_pages},
    {"max-bytes", required_argument, nullptr, max_bytes},
    {"queue-size", required_argument, nullptr, queue_size},
    {"jobs", required_argument, nullptr, 'j'},
    {"per-host", required_argument, nullptr, per_host},
    {"delay", required_argument, nullptr, delay},
    {"timeout", required_argument, nullptr, timeout},
    {"retries", required_argument, nullptr, retries},
    {"user-agent", required_argument, nullptr, user_agent},
    {"ignore-robots", no_argument, nullptr, ignore_robots},
    {"sitemap", no_argument, nullptr, sitemap},
    {"parts", no_argument, nullptr, parts},
    {"list-links", no_argument, nullptr, list_links},
    {"cacert", required_argument, nullptr, ca_file},
    {"output", required_argument, nullptr, 'o'},
    {"queue", required_argument, nullptr, queue},
    {"lease", required_argument, nullptr, lease},
    {"quiet", no_argument, nullptr, 'q'},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

/// A number of the type of `into`, from `least` to `most`.
template <class T>
void read_number(const char* text, T least, T most, T& into) {
    const char* const end = text + std::strlen(text);
    T value{};
    const auto [stop, error] = std::from_chars(text, end, value);
    if (error != std::errc() || stop != end || !(value >= least && value <= most))
        throw usage_error(fmt::format("\"{}\" is not a number from {} to {}", text, least, most));
    into = value;
}

void read_seconds(const char* text, double least, double most, rondo::duration& into) {
    double value = 0;
    read_number(text, least, most, value);
    into = rondo::duration(std::llround(value * 1e9));
}

void read_urls(char** from, char** end, options& into) {
    for (; from != end; ++from) {
        try {
            const rondo::http::url where(*from);
            if (!where.is_http()) throw usage_error(fmt::format("{}: no URL of http", *from));
            into.urls.push_back(normalized(where));
        } catch (const rondo::http::url_error& error) {
            throw usage_error(error.what());
        }
    }
    if (into.urls.empty()) throw usage_error("no URL is given");
}

void read_flag(int found, options& into) {
    constexpr std::size_t many = 1'000'000'000;
    switch (found) {
        case host:
            into.hosts.emplace_back(optarg);
            break;
        case depth:
            read_number(optarg, 0U, 1'000'000U, into.depth);
            break;
        case max_pages:
            read_number(optarg, std::size_t{0}, many, into.pages_max);
            break;
        case max_bytes:
            read_number(optarg, std::size_t{1}, many, into.bytes_max);
            break;
        case queue_size:
            read_number(optarg, std::size_t{1}, many, into.memory_max);
            break;
        case 'j':
            read_number(optarg, std::size_t{1}, std::size_t{1024}, into.jobs);
            break;
        case per_host:
            read_number(optarg, std::size_t{1}, std::size_t{64}, into.per_host);
            break;
        case delay:
            read_seconds(optarg, 0, 86400, into.delay);
            break;
        case timeout:
            read_seconds(optarg, 0.001, 86400, into.timeout);
            break;
        case retries:
            read_number(optarg, 0, 100, into.retries);
            break;
        case user_agent:
            into.user_agent = optarg;
            break;
        case ignore_robots:
            into.robots = false;
            break;
        case sitemap:
            into.sitemap = true;
            break;
        case parts:
            into.parts = true;
            break;
        case list_links:
            into.list_links = true;
            break;
        case ca_file:
            into.ca_file = optarg;
            break;
        case 'o':
            into.output = optarg;
            break;
        case queue:
            into.queue = optarg;
            break;
        case lease:
            read_seconds(optarg, 1, 86400, into.lease);
            break;
        case 'q':
            into.quiet = true;
            break;
        case 'h':
            into.help = true;
            break;
    }
}

/// "-j" or "--delay".
std::string name_of(int found) {
    for (const option& one : crawler_options)
        if (one.val == found && found > 255) return fmt::format("--{}", one.name);
    return fmt::format("-{}", static_cast<char>(found));
}

/// Explains getopt's '?'. An unknown letter is in optopt, and so is a known option with an argument
/// that it does not take ("--quiet=1"); of an unknown long option only the place is known.
std::string refusal(char** argv) {
    if (optopt == 0) return fmt::format("{}: no such option", argv[optind - 1]);
    for (const option& one : crawler_options)
        if (one.val == optopt) return name_of(optopt) + ": takes no argument";
    return name_of(optopt) + ": no such option";
}

}  // namespace

options parse_options(int argc, char** argv) {
    options result;
    optind = 0;  // glibc: forget an earlier command line altogether
    opterr = 0;
    int found = 0;
    while ((found = getopt_long(argc, argv, ":j:o:qh", crawler_options, nullptr)) != -1) {
        if (found == '?') throw usage_error(refusal(argv));
        if (found == ':') throw usage_error(name_of(optopt) + ": an argument is missing");
        try {
            read_flag(found, result);
        } catch (const usage_error& error) {
            throw usage_error(fmt::format("{}: {}", name_of(found), error.what()));
        }
        if (result.help) return result;
    }
    read_urls(argv + optind, argv + argc, result);
    try {
        host_list hosts;
        for (const std::string& entry : result.hosts) hosts.add(entry);
    } catch (const std::invalid_argument& error) {
        throw usage_error(fmt::format("--host: {}", error.what()));
    }
    return result;
}

std::string_view help_text() {
    return R"(usage: crawler [OPTIONS] URL...

Follows the links of sites, and writes a JSON object for each page, one a line.

      --host HOST        follow links to this host too; .example.org: and to all
                         below it; *: to all (default: the hosts of the URLs)
      --depth N          at most N links away from a URL
      --max-pages N      at most N pages, 0: no limit (10000)
      --max-bytes N      read at most N bytes of a page (2097152)
      --queue-size N     keep at most N URLs that wait in memory (100000), and
                         the others in a temporary file
  -j, --jobs N           at most N pages at a time (16)
      --per-host N       ... and N of a host (2)
      --delay SECONDS    between the beginnings of two requests to a host (0.1);
                         a longer Crawl-delay of its robots.txt holds
      --timeout SECONDS  for a page (30)
      --retries N        after connections that fail, 429 and 5xx (2)
      --user-agent TEXT  also the name that is looked up in robots.txt
      --ignore-robots    for your own sites
      --sitemap          also the pages of the sitemaps that robots.txt names
      --parts            also images, scripts, styles: status and size
      --list-links       write the links of each page
      --cacert FILE      trust these certificates
  -o, --output FILE      append the results to FILE (standard output)
      --queue URL        share the crawl: redis://HOST/NAME; start as many
                         processes as you like, each with an output of its own
      --lease SECONDS    after which another process takes over a page whose
                         process has died (60)
  -q, --quiet            no status line and no summary
  -h, --help             this text

exit status: 0 all pages have answered, 1 some have not, or the results could
             not be written, 2 the command line is wrong, 130 Ctrl-C
)";
}

}  // namespace crawler
