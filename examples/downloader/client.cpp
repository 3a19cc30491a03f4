// SPDX-License-Identifier: MIT
// Requests, answers and the connections between them.
#include "client.hpp"

#include <exception>

#include <fmt/core.h>

namespace downloader {

rondo::task<response> client::get(const url& where) {
    request_options how;
    how.keep_alive = true;
    const std::string request = request_text(where, how);
    const std::string key = where.authority();

    if (std::optional<connection> kept = take(key)) {
        response again(*this, key, *std::move(kept));
        try {
            co_await again.begin(request);
            co_return std::move(again);
        } catch (const std::exception&) {
            if (again.answered_) throw;
        }
    }

    auto stream = co_await rondo::connect_tcp(where.host, where.port, {.timeout = connect_timeout});
    response fresh(*this, key, connection(std::move(stream)));
    co_await fresh.begin(request);
    co_return std::move(fresh);
}

std::optional<connection> client::take(const std::string& key) {
    const auto found = idle_.find(key);
    if (found == idle_.end() || found->second.empty()) return std::nullopt;
    std::optional<connection> latest(std::move(found->second.back()));
    found->second.pop_back();
    --idle_count_;
    return latest;
}

void client::keep(std::string key, connection unused) {
    if (idle_count_ == idle_max_) return;
    idle_[std::move(key)].push_back(std::move(unused));
    ++idle_count_;
}

rondo::task<> response::begin(std::string request) {
    co_await connection_->stream().write_all(request);
    while (!parser_.header_done()) {
        if (unread_.empty()) co_await receive();
        if (unread_.empty()) parser_.finish();  // throws
        unread_.remove_prefix(parser_.feed(unread_).consumed);
    }
}

rondo::task<std::string_view> response::read() {
    while (!parser_.done()) {
        if (unread_.empty()) co_await receive();
        if (unread_.empty()) {  // the end of the connection may be the end of the body
            parser_.finish();
            connection_.reset();
            co_return std::string_view();
        }
        const response_parser::piece piece = parser_.feed(unread_);
        unread_.remove_prefix(piece.consumed);
        if (!piece.body.empty()) co_return piece.body;
    }
    if (connection_ && unread_.empty() && parser_.keep_alive())
        client_->keep(std::move(key_), *std::move(connection_));
    connection_.reset();
    co_return std::string_view();
}

/// Reads more bytes; unread_ is empty at the end of the stream.
rondo::task<> response::receive() {
    connection& from = *connection_;
    const auto came =
        co_await rondo::move_on_after(idle_timeout, from.stream().read_some(from.buffer()));
    if (!came)
        throw http_error(fmt::format("the server sent nothing for {} s", idle_timeout.count()));
    unread_ = came->text();
    answered_ = answered_ || *came;
}

}  // namespace downloader
