// SPDX-License-Identifier: MIT
// The client's side: the builder, and the connection after the opening.
#include <cstring>

#include <rondo/create_task.hpp>
#include <rondo/http/request_builder.hpp>
#include <rondo/http/websocket.hpp>

#include "http/client/random.hpp"
#include "http/client/response_state.hpp"
#include "http/websocket/core.hpp"
#include "http/websocket/handshake.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct websocket_wish {
    explicit websocket_wish(http::request_builder asked) : request(std::move(asked)) {}

    http::request_builder request;
    http::ws::wish wanted;
    http::websocket_options options;
};

namespace {

/// A connection that has left the pool. A quiet one holds a small buffer.
class client_transport final : public http_transport {
public:
    explicit client_transport(http_switched from)
        : connection_(std::move(from.connection)), early_(std::move(from.unread)) {}

    task<std::string_view> read() override {
        if (!early_.empty()) {
            taken_ = std::exchange(early_, {});
            co_return taken_;
        }
        taken_ = std::string();
        if (!buffer_ || was_full_) {
            size_ = was_full_ ? large_bytes : small_bytes;
            buffer_ = std::make_unique_for_overwrite<char[]>(size_);
        }
        const chunk came = co_await connection_->read_some(buffer_view(buffer_.get(), size_));
        was_full_ = came.size() == small_bytes && size_ == small_bytes;
        co_return came.text();
    }
    task<> write(const_buffer bytes) override { return connection_->write_all(bytes); }
    task<> shutdown_write() override { return connection_->shutdown_write(); }
    task<> close() override { return connection_->close(); }
    void abort() noexcept override { connection_->abort(); }

private:
    static constexpr std::size_t small_bytes = 4096;
    static constexpr std::size_t large_bytes = std::size_t{64} * 1024;
    std::unique_ptr<http_connection> connection_;
    std::string early_;  // bytes that came with the head
    std::string taken_;  // the same, while they are read
    std::unique_ptr<char[]> buffer_;
    std::size_t size_ = 0;
    bool was_full_ = false;
};

/// The connection and its user, which run in a task of their own.
struct client_end {
    client_end(http_switched from, websocket_core::setup how)
        : transport(std::move(from)), core(transport, std::move(how)) {}

    client_transport transport;
    websocket_core core;
};

task<> run_client(std::shared_ptr<client_end> both) { co_await both->core.run(); }

websocket_core::setup setup_of(const websocket_wish& wish, http::ws::agreement made) {
    websocket_core::setup how;
    how.engine.is_client = true;
    how.engine.message_bytes = wish.options.message_bytes;
    how.engine.compress_from = wish.options.compress_from;
    how.engine.deflate = made.deflate;
    how.engine.mask = [] { return static_cast<std::uint32_t>(random_word()); };
    how.ping_after = wish.options.ping_after;
    how.ping_limit = wish.options.ping_limit;
    how.write_limit = wish.options.write_limit;
    how.subprotocol = std::move(made.subprotocol);
    return how;
}

http::websocket start_client(http_switched from, websocket_core::setup how) {
    auto both = std::make_shared<client_end>(std::move(from), std::move(how));
    create_task(run_client(both), {.name = "a WebSocket"});
    return http::websocket(std::shared_ptr<websocket_core>(both, &both->core));
}

}  // namespace
}  // namespace detail

namespace http {

websocket_builder::websocket_builder(request_builder request)
    : wish_(std::make_unique<rondo::detail::websocket_wish>(std::move(request))) {
    wish_->request.changed().upgrade = true;
    wish_->request.redirects(0).decode(false);
}
websocket_builder::websocket_builder(const websocket_builder& other)
    : wish_(std::make_unique<rondo::detail::websocket_wish>(
          *rondo::detail::not_empty(other.wish_))) {}
websocket_builder::websocket_builder(websocket_builder&&) noexcept = default;
websocket_builder& websocket_builder::operator=(websocket_builder other) noexcept {
    wish_.swap(other.wish_);
    return *this;
}
websocket_builder::~websocket_builder() = default;

websocket_builder& websocket_builder::header(std::string_view name, std::string_view value) {
    wish_->request.header(name, value);
    return *this;
}
websocket_builder& websocket_builder::query(std::string_view name, std::string_view value) {
    wish_->request.query(name, value);
    return *this;
}
websocket_builder& websocket_builder::basic_auth(std::string_view user,
                                                 std::string_view password) {
    wish_->request.basic_auth(user, password);
    return *this;
}
websocket_builder& websocket_builder::bearer(std::string_view token) {
    wish_->request.bearer(token);
    return *this;
}
websocket_builder& websocket_builder::digest_auth(std::string_view user,
                                                  std::string_view password) {
    wish_->request.digest_auth(user, password);
    return *this;
}
websocket_builder& websocket_builder::timeout(rondo::detail::time_limit total) {
    wish_->request.timeout(total);
    return *this;
}
websocket_builder& websocket_builder::proxy(std::string_view url) {
    wish_->request.proxy(url);
    return *this;
}
websocket_builder& websocket_builder::resolve_to(const endpoint& address) {
    wish_->request.resolve_to(address);
    return *this;
}

websocket_builder& websocket_builder::subprotocol(std::string_view name) {
    if (!is_token(name)) throw error("the name of a subprotocol is a token");
    wish_->wanted.subprotocols.emplace_back(name);
    return *this;
}
websocket_builder& websocket_builder::origin(std::string_view value) {
    return header("origin", value);
}
websocket_builder& websocket_builder::options(websocket_options options) {
    options.origins = options.subprotocols = {};  // a server's; their texts may go
    wish_->options = options;
    wish_->wanted.compression = options.compression;
    wish_->wanted.in_context = options.context_takeover;
    return *this;
}

task<websocket> websocket_builder::open() const& { return websocket_builder(*this).open_now(); }
task<websocket> websocket_builder::open() && { return open_now(); }

task<websocket> websocket_builder::open_by(
    std::unique_ptr<rondo::detail::websocket_wish> wish) {
    ws::require_wslay();
    const std::string key = ws::random_key();
    fields own;
    ws::add_request_fields(own, wish->wanted, key);
    for (const auto& [name, value] : own) wish->request.header(name, value);
    const std::string where = wish->request.url().text();
    response answer = co_await wish->request;
    const auto refuse = [&](const std::string& why) { throw protocol_error(why, "GET", where); };
    if (answer.status() != 101)
        throw status_error(answer.status(), answer.reason(), "GET", where);
    std::string why;
    auto agreed = ws::read_response(answer.headers(), wish->wanted, key, why);
    if (!agreed) refuse(why);
    auto switched = answer.state().exchange->take_switched();
    if (!switched.connection) refuse("a middleware has answered with 101, but made no connection");
    co_return rondo::detail::start_client(std::move(switched),
                                          rondo::detail::setup_of(*wish, std::move(*agreed)));
}

task<websocket> websocket_builder::open_now() {
    RONDO_ASSERT(wish_, "this websocket_builder was moved from");
    return open_by(std::move(wish_));
}
rondo::detail::task_awaiter<websocket> websocket_builder::rondo_awaiter() const& {
    return rondo::detail::task_awaiter<websocket>(&open().release());
}
rondo::detail::task_awaiter<websocket> websocket_builder::rondo_awaiter() && {
    return rondo::detail::task_awaiter<websocket>(&open_now().release());
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
