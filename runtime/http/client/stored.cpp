// SPDX-License-Identifier: MIT
// Responses that no server has sent: the body is in memory.
#include <rondo/http/request_builder.hpp>

#include "http/client/response_state.hpp"
#include "http/h1/encoder.hpp"

namespace rondo {
inline namespace v0 {

namespace {

class stored_exchange final : public detail::http_exchange {
public:
    explicit stored_exchange(std::string body) noexcept : body_(std::move(body)) {}

    task<detail::http_incoming> ask(const detail::http_outgoing&) override {
        throw http::error("this response was made without a server");
    }
    task<std::string_view> read() override {
        if (is_released_) throw closed_error("the response is closed");
        co_return std::exchange(is_read_, true) ? std::string_view() : std::string_view(body_);
    }
    void wait_without_limit() noexcept override {}
    bool has_ended() const noexcept override { return is_read_; }
    const http::fields& trailers() const noexcept override { return trailers_; }
    bool is_unanswered() const noexcept override { return false; }
    bool was_reused() const noexcept override { return false; }
    bool has_body_failed() const noexcept override { return false; }
    bool is_unsent() const noexcept override { return true; }
    bool is_refused() const noexcept override { return false; }
    task<> finish() override {
        release();
        co_return;
    }
    void release() noexcept override { is_released_ = true; }

private:
    std::string body_;
    http::fields trailers_;
    bool is_read_ = false;
    bool is_released_ = false;
};

}  // namespace

http::response::response(const request_builder& asked, int status, fields headers,
                         std::string body)
    : state_(std::make_unique<detail::http_response>(nullptr)) {
    state_->url = asked.url();
    state_->budget.set_request(std::string(asked.method()), state_->url.text());
    state_->head.status = status;
    state_->head.reason = h1::reason_phrase(status);
    state_->head.headers = std::move(headers);
    state_->head.content_length = body.size();
    state_->exchange = std::make_unique<stored_exchange>(std::move(body));
    state_->begin_body(false);
}

}  // namespace v0
}  // namespace rondo
