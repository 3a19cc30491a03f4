// SPDX-License-Identifier: MIT
// The command line.
#include "options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <getopt.h>

#include "names.hpp"

namespace downloader {

namespace {

constexpr unsigned jobs_max = 1024;
constexpr int no_progress = 256;  // beyond every character, so that it clashes with no short option

const std::array<option, 8> long_options = {{
    {"jobs", required_argument, nullptr, 'j'},
    {"output", required_argument, nullptr, 'o'},
    {"input", required_argument, nullptr, 'i'},
    {"force", no_argument, nullptr, 'f'},
    {"no-progress", no_argument, nullptr, no_progress},
    {"quiet", no_argument, nullptr, 'q'},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
}};

unsigned parse_jobs(const char* text) {
    const char* end = text + std::strlen(text);
    unsigned jobs = 0;
    const auto [stop, error] = std::from_chars(text, end, jobs);
    if (error != std::errc() || stop != end || jobs < 1 || jobs > jobs_max)
        throw usage_error("-j: \"" + printable(text) + "\" is not a number from 1 to 1024");
    return jobs;
}

std::string not_empty(const char* text, const char* what) {
    if (*text == '\0') throw usage_error(std::string(what) + ": the name is empty");
    return text;
}

bool is_known(int letter) {
    return std::any_of(long_options.begin(), long_options.end(),
                       [letter](const option& known) { return known.val == letter; });
}

// Explains getopt's '?'. An unknown letter is in optopt. Of a long option only the place is known;
// if optopt names one of ours, it was given an argument that it does not take ("--quiet=1").
std::string refusal(char** argv) {
    if (optopt != 0 && !is_known(optopt))
        return "-" + printable(std::string(1, static_cast<char>(optopt))) + ": no such option";
    return printable(argv[optind - 1]) + (optopt == 0 ? ": no such option" : ": takes no argument");
}

}  // namespace

options parse_options(int argc, char** argv) {
    options result;
    optind = 0;  // glibc: forget an earlier command line altogether
    opterr = 0;
    int found = 0;
    while ((found = getopt_long(argc, argv, ":j:o:i:fqh", long_options.data(), nullptr)) != -1) {
        switch (found) {
            case 'j':
                result.jobs = parse_jobs(optarg);
                break;
            case 'o':
                result.folder = not_empty(optarg, "-o");
                break;
            case 'i':
                result.list_files.push_back(not_empty(optarg, "-i"));
                break;
            case 'f':
                result.force = true;
                break;
            case no_progress:
                result.progress = false;
                break;
            case 'q':
                result.quiet = true;
                break;
            case 'h':
                result.help = true;
                return result;
            case ':':
                throw usage_error(std::string("-") + static_cast<char>(optopt) +
                                  ": an argument is missing");
            default:
                throw usage_error(refusal(argv));
        }
    }
    result.urls.assign(argv + optind, argv + argc);
    if (result.urls.empty() && result.list_files.empty())
        throw usage_error("no URL and no list file given");
    return result;
}

std::string_view help_text() {
    return "usage: downloader [-j N] [-o DIR] [-i LISTFILE] [-f] [--no-progress] [--quiet] URL...\n"
           "\n"
           "Downloads many files at once over HTTP and HTTPS.\n"
           "\n"
           "  -j, --jobs N         at most N downloads at a time (16)\n"
           "  -o, --output DIR     where the files go (.)\n"
           "  -i, --input FILE     read URLs from FILE, one a line, # starts a comment line; - is "
           "stdin\n"
           "  -f, --force          replace files that are there already\n"
           "      --no-progress    one line per finished file, also on a terminal\n"
           "  -q, --quiet          say nothing but what failed\n"
           "  -h, --help           this text\n"
           "\n"
           "exit status: 0 all files are there, 1 some failed, 2 the command line is wrong,\n"
           "             130 Ctrl-C; unfinished files are taken away\n";
}

}  // namespace downloader
