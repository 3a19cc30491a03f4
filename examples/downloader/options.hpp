// SPDX-License-Identifier: MIT
// The command line, by getopt_long: it is in libc, users know how it behaves, and it costs no
// compile time. One table has all options; the man page and the completion name the same ones.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace downloader {

/// The command line is wrong; main prints the text and returns 2.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The fate of a file whose name is taken.
enum class when_taken : unsigned char { keep, overwrite, rename };

/// How HTTP is spoken. `automatic`: HTTP/2 over TLS if there are many files, otherwise HTTP/1.1.
enum class protocol : unsigned char { automatic, http_1_1, http_2 };

/// The options of a run. A class with a constructor rather than an aggregate: g++ 12 destroys
/// aggregates with strings twice if they are made inside a co_await expression (docs/gcc12.md).
struct options {
    options() = default;

    // Files, and their names
    std::vector<std::string> urls;
    std::vector<std::string> list_files;
    std::string folder = ".";
    std::string output;  ///< of the only file; may have a folder of its own
    std::string sha256;  ///< of the only file
    when_taken taken = when_taken::keep;
    bool content_disposition = false;
    bool timestamps = false;
    bool resume = true;
    bool sync = true;  ///< to the disk, before a file gets its name
    std::uint64_t size_max = 0;

    // Transfers
    unsigned jobs = 16;
    unsigned per_host = 6;
    std::optional<unsigned> split;
    std::uint64_t rate_max = 0;
    std::chrono::milliseconds timeout{30'000};
    std::uint64_t low_speed = 1024;  ///< bytes a second, over low_speed_time
    std::chrono::milliseconds low_speed_time{30'000};
    unsigned retries = 4;
    protocol version = protocol::automatic;

    // Servers
    std::vector<std::pair<std::string, std::string>> headers;
    std::string user_agent = "rondo-get";
    std::optional<std::pair<std::string, std::string>> user;
    std::optional<std::string> netrc;  ///< a path, or empty: ~/.netrc
    std::string proxy;
    std::string cacert;
    bool insecure = false;

    // Display
    bool progress = true;
    bool json = false;
    bool quiet = false;
    bool verbose = false;
    bool help = false;
    bool version_only = false;
};

/// Reads the command line; after --help and --version nothing else is checked.
/// Throws: usage_error.
/// Thread: getopt keeps its state in globals, so from one thread at a time.
options parse_options(int argc, char** argv);

/// The command that continues this run, for a shell; without passwords.
std::string resume_command(int argc, char** argv);

/// The value of an option which may be a secret, or contain one.
struct secret_value {
    const char* at;  ///< in a word of the command line
    bool is_url;     ///< of a proxy; otherwise the secret comes behind a colon
};
/// As parse_options() finds them, in whatever way they are written: -qu, --head=, ...
std::vector<secret_value> secret_values(int argc, char** argv);

/// The names of all options: "--jobs", …
std::vector<std::string_view> option_names();

std::string_view help_text();

}  // namespace downloader
