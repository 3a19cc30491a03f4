// SPDX-License-Identifier: MIT
// A static file server: serves the files of one folder over HTTP/1.1, with GET, HEAD and
// connections that stay open, without ranges and listings. http_request.hpp parses requests and
// makes heads.
//
// Run: file_server [-p PORT] [-b ADDRESS] FOLDER
//
// A file is read and sent through the ring in blocks of 128 KiB. The kernel copies a block of that
// size at once; it would hand a larger one to a thread of its own, which costs more than it saves
// while the file is in the page cache. Links in the folder are followed, as with other servers: a
// user who can make a link there could put the file there.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <getopt.h>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

#include "http_request.hpp"

using namespace std::chrono_literals;
using namespace file_server;

namespace {

constexpr std::size_t block_bytes = std::size_t{128} * 1024;
constexpr auto request_max = 60s;  // for a whole request, and for the next one to come
constexpr auto write_max = 60s;    // for a block to be taken

std::string now() { return http_date(std::time(nullptr)); }

/// One request after the other from a connection.
class requests {
public:
    /// Empty if the peer has closed the connection, between two requests or within one.
    rondo::task<std::optional<request_parser>> next(rondo::tcp_stream& peer) {
        request_parser request;
        while (!request.done()) {
            if (unread_.empty()) {
                const auto came = co_await peer.read_some(buffer_);
                if (!came) co_return std::nullopt;
                unread_ = came.text();
            }
            unread_.remove_prefix(request.feed(unread_));
        }
        co_return request;
    }

private:
    std::array<char, 4096> buffer_;
    std::string_view unread_;  // belongs to the next request
};

rondo::task<rondo::file> open_below(const std::string& root, const std::string& target) {
    const auto path = path_below_root(target);
    // Checked first: opening a pipe without a writer would wait.
    std::error_code ignored;
    if (!path || !std::filesystem::is_regular_file(root + '/' + *path, ignored))
        co_return rondo::file();
    try {
        co_return co_await rondo::file::open(root + '/' + *path);
    } catch (const std::system_error&) {
        co_return rondo::file();  // not readable, or removed meanwhile
    }
}

/// Sends `head` and that many bytes of the file; the head goes with the first block.
rondo::task<> send_file(rondo::tcp_stream& peer, std::string head, rondo::file& file,
                        std::uint64_t left) {
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(left, block_bytes));
    const std::unique_ptr<char[]> block(new char[room]);
    if (left == 0) co_await peer.write_all(head);
    while (left > 0) {
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left, room));
        const auto part = co_await file.read_some(rondo::buffer_view(block.get(), want));
        // The length was sent already: only the end of the connection can show that it is wrong.
        if (!part)
            throw std::runtime_error("read " + file.path() + ": the file has become shorter");
        if (head.empty())
            co_await rondo::wait_for(write_max, peer.write_all(part));
        else
            co_await rondo::wait_for(write_max, peer.write_all(head, part));
        head.clear();
        left -= part.size();
    }
}

rondo::task<> answer(rondo::tcp_stream& peer, const request_parser& request,
                     const std::string& root) {
    rondo::file file;
    if (request.status() == 200) file = co_await open_below(root, request.target());
    if (!file) {
        const int status = request.status() == 200 ? 404 : request.status();
        co_await peer.write_all(error_text(status, request.is_head(), request.keep_alive(), now()));
        co_return;
    }
    const std::string date = now();
    response_head head;
    head.content_length = co_await file.size();
    head.content_type = content_type(file.path());
    head.date = date;
    head.keep_alive = request.keep_alive();
    co_await send_file(peer, head_text(head), file, request.is_head() ? 0 : head.content_length);
}

/// Lets the peer read the last answer: closing a socket with unread bytes would reset the
/// connection and discard it.
rondo::task<> hang_up(rondo::tcp_stream& peer) {
    co_await peer.shutdown_write();
    std::array<char, 4096> rest;
    while (co_await peer.read_some(rest)) {
    }
}

rondo::task<> talk(rondo::tcp_stream& peer, const std::string& root) {
    requests all;
    for (;;) {
        const auto request = co_await rondo::move_on_after(request_max, all.next(peer));
        if (!request || !*request) co_return;
        co_await answer(peer, **request, root);
        if (!(*request)->keep_alive()) break;
    }
    co_await rondo::move_on_after(2s, hang_up(peer));
}

class handler {
public:
    explicit handler(std::string root) : root_(std::move(root)) {}

    rondo::task<> operator()(rondo::tcp_stream peer) const {
        try {
            co_await talk(peer, root_);
        } catch (const std::system_error& error) {
            // A client may break off at any time, also inside a file; that is not reported.
            const bool is_gone = error.code() == std::errc::connection_reset ||
                                 error.code() == std::errc::broken_pipe ||
                                 error.code() == std::errc::timed_out;
            if (!is_gone) throw;
        }
    }

private:
    std::string root_;
};

struct settings {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::string root;
};

std::optional<settings> parse(int argc, char** argv) {
    settings result;
    for (int found = 0; (found = getopt(argc, argv, "p:b:")) != -1;) {
        if (found == 'b') {
            result.address = optarg;
        } else if (found == 'p') {
            const char* end = optarg + std::strlen(optarg);
            const auto [stop, error] = std::from_chars(optarg, end, result.port);
            if (error != std::errc() || stop != end) return std::nullopt;
        } else {
            return std::nullopt;
        }
    }
    if (optind + 1 != argc || !std::filesystem::is_directory(argv[optind])) return std::nullopt;
    result.root = argv[optind];
    return result;
}

}  // namespace

int main(int argc, char** argv) {
    const auto chosen = parse(argc, argv);
    if (!chosen) {
        fmt::print(stderr, "usage: {} [-p PORT] [-b ADDRESS] FOLDER\n", argv[0]);
        return 2;
    }
    try {
        auto listener = rondo::tcp_listener::bind({chosen->address, chosen->port});
        fmt::print("serving {} on http://{}/\n", chosen->root, listener.local().text());
        std::fflush(stdout);
        rondo::run(rondo::serve(std::move(listener), handler(chosen->root)));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}  // Ctrl-C has ended the server: status 0
