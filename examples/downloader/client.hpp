// SPDX-License-Identifier: MIT
// A small HTTP client: requests a URL and gives the answer piece by piece, over connections that it
// uses again.
//
// All network code of the downloader is here; http1.hpp interprets the bytes. A connection is used
// again only if its answer ended exactly at its stated length and the server accepts another
// request. The server may close it all the same, which only the next request shows. If no byte of
// the answer has come by then, that request is repeated on a new connection (RFC 9112, section
// 9.3.1: it is a GET).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <rondo/connect.hpp>
#include <rondo/sleep.hpp>

#include "http1.hpp"
#include "url.hpp"

namespace downloader {

inline constexpr std::chrono::seconds connect_timeout{10};  // the look-up of the name included
inline constexpr std::chrono::seconds idle_timeout{30};     // without a byte from the server

/// A connection with the buffer that its answers pass through; both are used again.
class connection {
public:
    // The size of one receive. A smaller one would not empty the socket; from 256 KiB on io_uring
    // would hand each write to the file to a thread.
    static constexpr std::size_t buffer_bytes = std::size_t{256} * 1024 - 4096;

    explicit connection(rondo::tcp_stream stream)
        : stream_(std::move(stream)), buffer_(new char[buffer_bytes]) {}

    rondo::tcp_stream& stream() noexcept { return stream_; }
    rondo::buffer_view buffer() const noexcept { return {buffer_.get(), buffer_bytes}; }

private:
    rondo::tcp_stream stream_;
    std::unique_ptr<char[]> buffer_;
};

class client;

/// The answer to a request, as far as it has come. Keeps its connection until the body has ended.
class response {
public:
    int status() const noexcept { return parser_.status(); }
    std::optional<std::uint64_t> content_length() const noexcept {
        return parser_.content_length();
    }
    /// Throws: http_error ("404 Not Found") unless the answer carries the whole file.
    void raise_for_status() const { parser_.raise_for_status(); }

    /// The next piece of the body, good until the next call; empty at the end.
    /// Throws: http_error if the answer is malformed or cut off, or no byte comes for 30 s;
    ///         std::system_error.
    rondo::task<std::string_view> read();

private:
    friend class client;
    response(client& owner, std::string key, connection over)
        : client_(&owner), key_(std::move(key)), connection_(std::move(over)) {}

    rondo::task<> begin(std::string request);
    rondo::task<> receive();

    client* client_;
    std::string key_;
    std::optional<connection> connection_;
    response_parser parser_;
    std::string_view unread_;  // in the connection's buffer
    bool answered_ = false;    // at least a byte has come
};

/// Makes requests. Outlives its responses.
class client {
public:
    /// Keeps at most `idle_max` idle connections.
    explicit client(std::size_t idle_max) : idle_max_(idle_max) {}
    client(const client&) = delete;
    client& operator=(const client&) = delete;

    /// Returns: the answer, when its head has come.
    /// Throws: http_error, std::system_error.
    rondo::task<response> get(const url& where);

private:
    friend class response;
    std::optional<connection> take(const std::string& key);
    void keep(std::string key, connection unused);

    std::unordered_map<std::string, std::vector<connection>> idle_;  // by "host:port"
    std::size_t idle_count_ = 0;
    std::size_t idle_max_;
};

}  // namespace downloader
