// SPDX-License-Identifier: MIT
// The table of options, and what each does.
#include "options.hpp"

#include <algorithm>
#include <array>

#include <fmt/core.h>
#include <getopt.h>
#include <rondo/http/fields.hpp>

#include "text.hpp"

namespace downloader {

namespace {

constexpr unsigned count_max = 1024;

[[noreturn]] void refuse(std::string_view value, std::string_view wanted) {
    throw usage_error(fmt::format("\"{}\" is not {}", printable(value, 100), wanted));
}

std::string to_word(std::string_view value) {
    if (value.empty()) throw usage_error("the value is empty");
    return std::string(value);
}

unsigned to_number(std::string_view value, unsigned least) {
    const auto result = parse_number(value, least, count_max);
    if (!result) refuse(value, fmt::format("a number from {} to {}", least, count_max));
    return static_cast<unsigned>(*result);
}

std::uint64_t to_size(std::string_view value) {
    const auto result = parse_size(value);
    if (!result) refuse(value, "a number of bytes such as 500K or 1.5M");
    return *result;
}

std::chrono::milliseconds to_seconds(std::string_view value) {
    const auto result = parse_seconds(value);
    if (!result) refuse(value, "a time such as 30 (seconds), 0.5 or 5m");
    return *result;
}

/// "RATE" or "RATE:SECONDS"
void set_low_speed(options& o, std::string_view value) {
    const auto colon = value.find(':');
    o.low_speed = to_size(value.substr(0, colon));
    if (colon != std::string_view::npos) o.low_speed_time = to_seconds(value.substr(colon + 1));
}

void add_header(options& o, std::string_view value) {
    const auto colon = value.find(':');
    const std::string_view name = value.substr(0, colon);
    const std::string_view text = colon == value.npos ? "" : value.substr(colon + 1);
    if (colon == value.npos || !rondo::http::is_token(name) || !rondo::http::is_field_value(text))
        throw usage_error("a header is NAME: VALUE");
    o.headers.emplace_back(name, text);
}

void set_user(options& o, std::string_view value) {
    const auto colon = value.find(':');
    if (colon == value.npos) throw usage_error("a user is NAME:PASSWORD");
    o.user.emplace(value.substr(0, colon), value.substr(colon + 1));
}

void set_sha256(options& o, std::string_view value) {
    const auto sum = parse_sha256(value);
    if (!sum) refuse(value, "64 hexadecimal digits");
    o.sha256 = *sum;
}

void set_user_agent(options& o, std::string_view value) {
    if (!rondo::http::is_field_value(value)) refuse(value, "the value of a header");
    o.user_agent = value;
}

struct entry {
    char letter;  // '\0': none
    const char* name;
    bool has_value;
    void (*set)(options&, std::string_view value);
};

using text = std::string_view;
const std::array entries = {
    entry{'i', "input", true, [](options& o, text v) { o.list_files.push_back(to_word(v)); }},
    entry{'d', "dir", true, [](options& o, text v) { o.folder = to_word(v); }},
    entry{'o', "output", true, [](options& o, text v) { o.output = to_word(v); }},
    entry{'\0', "content-disposition", false,
          [](options& o, text) { o.content_disposition = true; }},
    entry{'\0', "overwrite", false, [](options& o, text) { o.taken = when_taken::overwrite; }},
    entry{'\0', "rename", false, [](options& o, text) { o.taken = when_taken::rename; }},
    entry{'c', "continue", false, [](options& o, text) { o.resume = true; }},
    entry{'\0', "no-continue", false, [](options& o, text) { o.resume = false; }},
    entry{'\0', "sha256", true, set_sha256},
    entry{'\0', "timestamps", false, [](options& o, text) { o.timestamps = true; }},
    entry{'\0', "no-sync", false, [](options& o, text) { o.sync = false; }},
    entry{'\0', "max-filesize", true, [](options& o, text v) { o.size_max = to_size(v); }},
    entry{'j', "jobs", true, [](options& o, text v) { o.jobs = to_number(v, 1); }},
    entry{'\0', "per-host", true, [](options& o, text v) { o.per_host = to_number(v, 1); }},
    entry{'s', "split", true, [](options& o, text v) { o.split = to_number(v, 1); }},
    entry{'l', "limit-rate", true, [](options& o, text v) { o.rate_max = to_size(v); }},
    entry{'t', "timeout", true, [](options& o, text v) { o.timeout = to_seconds(v); }},
    entry{'\0', "low-speed", true, set_low_speed},
    entry{'r', "retries", true, [](options& o, text v) { o.retries = to_number(v, 0); }},
    entry{'\0', "http1.1", false, [](options& o, text) { o.version = protocol::http_1_1; }},
    entry{'\0', "http2", false, [](options& o, text) { o.version = protocol::http_2; }},
    entry{'H', "header", true, add_header},
    entry{'A', "user-agent", true, set_user_agent},
    entry{'u', "user", true, set_user},
    entry{'n', "netrc", false, [](options& o, text) { o.netrc = ""; }},
    entry{'\0', "netrc-file", true, [](options& o, text v) { o.netrc = to_word(v); }},
    entry{'x', "proxy", true, [](options& o, text v) { o.proxy = v; }},
    entry{'\0', "cacert", true, [](options& o, text v) { o.cacert = to_word(v); }},
    entry{'k', "insecure", false, [](options& o, text) { o.insecure = true; }},
    entry{'\0', "no-progress", false, [](options& o, text) { o.progress = false; }},
    entry{'\0', "json", false, [](options& o, text) { o.json = true; }},
    entry{'q', "quiet", false, [](options& o, text) { o.quiet = true; }},
    entry{'v', "verbose", false, [](options& o, text) { o.verbose = true; }},
    entry{'h', "help", false, [](options& o, text) { o.help = true; }},
    entry{'V', "version", false, [](options& o, text) { o.version_only = true; }},
};

constexpr int first_value = 256;  // beyond every character, so that it clashes with no letter

const entry& entry_of(int found) {
    if (found >= first_value) return entries[static_cast<std::size_t>(found - first_value)];
    return *std::find_if(entries.begin(), entries.end(),
                         [found](const entry& one) { return one.letter == found; });
}

std::array<option, entries.size() + 1> long_options() {
    std::array<option, entries.size() + 1> result{};
    for (std::size_t i = 0; i < entries.size(); ++i)
        result[i] = {entries[i].name, entries[i].has_value ? required_argument : no_argument,
                     nullptr, first_value + static_cast<int>(i)};
    return result;
}

std::string short_options() {
    std::string result = ":";
    for (const entry& one : entries)
        if (one.letter != '\0') result += std::string(1, one.letter) + (one.has_value ? ":" : "");
    return result;
}

// Explains getopt's '?'. An unknown letter is in optopt. Of a long option only the place is known;
// if optopt names one of ours, it was given an argument that it does not take ("--quiet=1").
std::string refusal(char** argv) {
    if (optopt >= first_value) return printable(argv[optind - 1]) + ": takes no value";
    if (optopt != 0)
        return "-" + printable(std::string(1, static_cast<char>(optopt))) + ": no such option";
    return printable(argv[optind - 1]) + ": no such option, or an abbreviation of several";
}

void check(const options& o) {
    if (o.urls.empty() && o.list_files.empty())
        throw usage_error("no URL and no list of URLs is given");
    const bool is_one = o.urls.size() == 1 && o.list_files.empty();
    if (!is_one && !o.output.empty())
        throw usage_error("--output: names one file, but there are several; a list has out=");
    if (!is_one && !o.sha256.empty())
        throw usage_error("--sha256: is of one file, but there are several; a list has sha256=");
    const std::string name = o.output.substr(o.output.rfind('/') + 1);  // npos + 1 is 0
    if (!o.output.empty() && (name.empty() || name == "." || name == ".."))
        throw usage_error("--output: is a file; --dir names a folder");
    if (o.output == "-")
        throw usage_error("--output: a file is needed: the standard output cannot be renamed");
}

}  // namespace

options parse_options(int argc, char** argv) {
    options result;
    optind = 0;  // glibc: forget an earlier command line altogether
    opterr = 0;
    static const auto longs = long_options();
    static const std::string shorts = short_options();
    int found = 0;
    while ((found = getopt_long(argc, argv, shorts.c_str(), longs.data(), nullptr)) != -1) {
        if (found == '?') throw usage_error(refusal(argv));
        const entry& one = entry_of(found == ':' ? optopt : found);
        if (found == ':') throw usage_error(fmt::format("--{}: a value is missing", one.name));
        try {
            one.set(result, one.has_value ? optarg : "");
        } catch (const usage_error& error) {
            throw usage_error(fmt::format("--{}: {}", one.name, error.what()));
        }
        if (result.help || result.version_only) return result;
    }
    result.urls.assign(argv + optind, argv + argc);
    check(result);
    return result;
}

std::vector<secret_value> secret_values(int argc, char** argv) {
    std::vector<secret_value> result;
    optind = 0;
    opterr = 0;
    const auto longs = long_options();
    const std::string shorts = short_options();
    int found = 0;
    while ((found = getopt_long(argc, argv, shorts.c_str(), longs.data(), nullptr)) != -1) {
        if (found == '?' || found == ':') continue;
        const std::string_view name = entry_of(found).name;
        if (name == "user" || name == "header" || name == "proxy")
            result.push_back({optarg, name == "proxy"});
    }
    return result;
}

std::vector<std::string_view> option_names() {
    std::vector<std::string_view> names;
    for (const entry& one : entries) names.emplace_back(one.name);
    return names;
}

}  // namespace downloader
