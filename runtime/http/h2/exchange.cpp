// SPDX-License-Identifier: MIT
// An exchange of HTTP/2: a stream of a connection that others use as well.
#include <algorithm>
#include <charconv>

#include <rondo/tls_error.hpp>
#include <rondo/wait_queue.hpp>

#include "http/client/asking.hpp"
#include "http/h2/client.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

namespace h1 = http::h1;
namespace h2 = http::h2;

constexpr std::size_t piece_bytes = h2_connection::piece_bytes;

class h2_exchange final : public http_asking, private h2::stream {
public:
    h2_exchange(http_lease lease, const exchange_options& options, http_budget& budget)
        : http_asking(options, budget),
          lease_(std::move(lease)),
          connection_(std::static_pointer_cast<h2_connection>(lease_.shared())),
          was_reused_(lease_.is_reused()) {}
    ~h2_exchange() override { h2_exchange::release(); }

    task<std::string_view> read() override;
    bool has_ended() const noexcept override { return has_received_end() && came_.empty(); }
    const http::fields& trailers() const noexcept override { return h2::stream::trailers(); }
    bool is_unanswered() const noexcept override {
        // A reset is an answer.
        return !received_any_ && !closing_.is_by_peer && why_.empty();
    }
    bool was_reused() const noexcept override { return was_reused_; }
    bool is_unsent() const noexcept override { return !has_begun(); }
    bool is_refused() const noexcept override;
    bool came_too_late() const noexcept override {
        return connection_->has_answered && connection_->engine().has_goaway();
    }
    void release() noexcept override;
    task<> finish() override;

private:
    // -- http_asking
    void begin(const http_outgoing&) override {}
    void write_head(std::string& out, const http_outgoing& request,
                    h1::body_length length) override;
    task<> send_first(std::string_view out, bool is_all) override;
    task<> send_part(std::string_view part) override;
    task<> send_end() override;
    task<> receive_head() override;
    http_incoming take_head() override;
    void end_if_empty() noexcept override;

    // -- h2::stream
    void on_head(h2::head& come) override;
    void on_interim(h2::head&) override { received_any_ = true; }
    void on_data(std::string_view bytes) override;
    void on_end() override { arrived_.unpark_all(); }
    void on_sent() override { sent_.unpark_all(); }
    void on_closed(const h2::closing& how) override;

    void submit(const http_outgoing& request, h1::body_length length);
    task<> write(std::string_view bytes, bool is_last);
    task<> wait_sent();
    task<> wait_arrived();
    std::string reason() const;
    [[noreturn]] void fail();
    [[noreturn]] void fail_body();

    http_lease lease_;
    std::shared_ptr<h2_connection> connection_;
    h2::head head_;
    h2::closing closing_;
    std::string why_;    // the text of closing_
    std::string came_;                // of the body, not read yet: at most piece_bytes
    std::vector<std::string> later_;  // what follows it, if a reader does not keep up
    std::string given_;               // the piece that was read last
    wait_queue arrived_;
    wait_queue sent_;
    std::uint64_t read_ = 0;  // bytes of the body
    bool was_reused_;
    bool has_body_ = false;
    bool received_any_ = false;
    bool is_closed_ = false;
    bool is_released_ = false;
};

// -- sending -------------------------------------------------------------------------------------
void h2_exchange::write_head(std::string&, const http_outgoing& request, h1::body_length length) {
    has_body_ = length.kind() == h1::framing::chunked || length.bytes() != 0;
    // It may have changed since the place was given, or have been lost.
    if (!connection_->is_open() || !connection_->engine().can_request()) {
        closing_ = {h2::code::refused_stream, true, {}};
        is_closed_ = true;
        fail();
    }
    submit(request, length);
}

void h2_exchange::submit(const http_outgoing& request, h1::body_length length) {
    h2::request_line line{request.method, request.scheme, request.authority, request.target, {}};
    char digits[20];
    if (length.kind() == h1::framing::length) {
        const auto end = std::to_chars(digits, digits + sizeof digits, length.bytes()).ptr;
        line.content_length = {digits, static_cast<std::size_t>(end - digits)};
    }
    connection_->engine().request(*this, line, *request.headers, has_body_);
}

task<> h2_exchange::send_first(std::string_view out, bool is_all) {
    if (is_all && has_body_) {
        co_await write(out, true);
        co_return;
    }
    connection_->send();
}

task<> h2_exchange::send_part(std::string_view part) { return write(part, false); }

task<> h2_exchange::send_end() {
    connection_->engine().finish(*this);
    connection_->send();
    co_return;
}

/// Gives bytes to the engine, and waits until they have left it.
task<> h2_exchange::write(std::string_view bytes, bool is_last) {
    struct lent {  // also if this wait is cancelled
        h2_exchange& by;
        ~lent() { by.connection_->engine().take_back(by); }
    };
    const lent until_sent{*this};
    connection_->engine().write(*this, bytes, is_last);
    connection_->send();
    while (is_open() && unsent() != 0) {
        auto waiting = wait_sent();
        co_await budget_->limited(http::phase::send, limits_.read, std::move(waiting));
    }
    if (!is_open() && !has_sent_end()) fail();
}

task<> h2_exchange::wait_sent() {
    if (is_open() && unsent() != 0) co_await sent_.park();
}

// -- receiving -----------------------------------------------------------------------------------
void h2_exchange::on_head(h2::head& come) {
    received_any_ = connection_->has_answered = true;
    head_ = std::move(come);
    has_head_ = true;
    arrived_.unpark_all();
}

void h2_exchange::on_data(std::string_view bytes) {
    if (came_.empty() && came_.capacity() < bytes.size() && head_.content_length)
        came_.reserve(std::min<std::size_t>(*head_.content_length, piece_bytes));
    for (;;) {
        std::string& last = later_.empty() ? came_ : later_.back();
        const std::string_view fits = bytes.substr(0, piece_bytes - last.size());
        last += fits;
        bytes.remove_prefix(fits.size());
        if (bytes.empty()) break;
        later_.push_back(connection_->take_piece());
    }
    arrived_.unpark_all();
}

void h2_exchange::on_closed(const h2::closing& how) {
    closing_ = how;
    why_ = how.why;
    closing_.why = {};
    is_closed_ = true;
    arrived_.unpark_all();
    sent_.unpark_all();
}

bool h2_exchange::is_refused() const noexcept {
    return is_closed_ && closing_.is_by_peer && closing_.code == h2::code::refused_stream &&
           !received_any_;
}

task<> h2_exchange::wait_arrived() {
    if (is_open() && came_.empty() && !has_received_end()) co_await arrived_.park();
}

task<> h2_exchange::receive_head() {
    while (!has_head_) {
        if (!is_open()) fail();
        auto waiting = wait_arrived();
        co_await budget_->limited(http::phase::headers, head_limit(), std::move(waiting),
                                  head_spent());
    }
    if (head_.is_too_large)
        throw http::limit_error("the response is refused: its head is too large", budget_->method(),
                                budget_->url());
}

http_incoming h2_exchange::take_head() {
    http_incoming incoming;
    incoming.status = head_.status;
    incoming.version = http::version::http_2;
    incoming.headers = std::move(head_.headers);
    incoming.content_length = head_.content_length;
    return incoming;
}

void h2_exchange::end_if_empty() noexcept {
    if (head_.is_end || (has_received_end() && came_.empty())) release();
}

task<std::string_view> h2_exchange::read() {
    std::optional<time_point> began;
    for (;;) {
        if (!came_.empty()) {
            given_.swap(came_);
            came_.clear();
            if (!later_.empty()) {
                connection_->give_piece(std::exchange(came_, std::move(later_.front())));
                later_.erase(later_.begin());
            }
            read_ += given_.size();
            budget_->bytes = read_;
            connection_->engine().consume(*this, given_.size());
            connection_->send();
            co_return given_;
        }
        if (has_received_end()) break;
        if (is_released_) throw closed_error("the response is closed");
        if (!is_open()) fail_body();
        const time_point now = running_loop().time();
        if (!began) began = now;
        auto waiting = wait_arrived();
        co_await budget_->limited(http::phase::body, limits_.read, std::move(waiting),
                                  now - *began);
        waited_ += running_loop().time() - now;
    }
    release();
    co_return std::string_view();
}

// -- errors --------------------------------------------------------------------------------------
std::string h2_exchange::reason() const {
    const h2::engine& engine = connection_->engine();
    if (engine.has_failed()) return "the server broke the rules of HTTP/2: " + engine.why();
    if (closing_.is_by_peer && engine.has_goaway() && closing_.code == h2::code::refused_stream)
        return "the server ends the connection and did not handle the request (GOAWAY)";
    if (closing_.is_by_peer) return "the server reset the stream: " + text(closing_.code);
    if (!why_.empty()) return "the response is refused: " + why_;
    return "the server closed the connection";
}

/// Throws the reason why there is no response.
void h2_exchange::fail() {
    if (!is_released_ && !closing_.is_by_peer && why_.empty() && connection_->lost())
        std::rethrow_exception(connection_->lost());
    throw http::protocol_error(reason(), budget_->method(), budget_->url());
}

void h2_exchange::fail_body() {
    std::string text = reason();
    if (!closing_.is_by_peer && why_.empty() && connection_->lost()) {
        try {
            std::rethrow_exception(connection_->lost());
        } catch (const std::exception& error) {
            text = error.what();
        }
    }
    throw http::body_error(text, budget_->method(), budget_->url(), read_);
}

// -- the end -------------------------------------------------------------------------------------
void h2_exchange::release() noexcept {
    if (std::exchange(is_released_, true)) return;
    h2::engine& engine = connection_->engine();
    // A part of the body that was not read, or of the request that the server did not want.
    engine.reset(*this, h2::code::cancel);
    engine.consume(*this, unconsumed());
    if (!has_received_end()) {
        came_ = std::string();
        later_.clear();
    }
    connection_->forget_pieces();
    connection_->send();
    lease_.reset();
}

task<> h2_exchange::finish() {
    release();
    co_return;
}

}  // namespace

std::unique_ptr<http_exchange> make_h2_exchange(http_lease lease, const exchange_options& options,
                                                http_budget& budget) {
    return std::make_unique<h2_exchange>(std::move(lease), options, budget);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
