// SPDX-License-Identifier: MIT
// Sending a request and waiting for the head of its response: the part of an exchange that does not
// depend on the version of HTTP.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/loop.hpp>
#include <rondo/task.hpp>

#include "http/client/exchange.hpp"
#include "http/h1/encoder.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class http_asking : public http_exchange {
public:
    task<http_incoming> ask(const http_outgoing& request) final;
    void wait_without_limit() noexcept final { limits_.read = duration::zero(); }
    bool has_body_failed() const noexcept final { return body_failed_; }

protected:
    http_asking(const exchange_options& limits, http_budget& budget)
        : limits_(limits), budget_(&budget) {}

    // -- what a version of HTTP does -------------------------------------------------------------
    /// Prepares for the response.
    virtual void begin(const http_outgoing& request) = 0;
    /// Begins the request. Appends the head to `out`, if it is sent as bytes of the body are.
    virtual void write_head(std::string& out, const http_outgoing& request,
                            http::h1::body_length length) = 0;
    /// Sends `out`: the head, and the whole body if `is_all`.
    virtual task<> send_first(std::string_view out, bool is_all) = 0;
    virtual task<> send_part(std::string_view part) = 0;
    /// Ends a body that went by send_part.
    virtual task<> send_end() = 0;
    /// Waits until has_head_. The limit is that of the head, since `head_spent()`.
    virtual task<> receive_head() = 0;
    /// The head that receive_head() has waited for.
    virtual http_incoming take_head() = 0;
    /// Called after it: gives the connection back if no body follows.
    virtual void end_if_empty() noexcept = 0;

    /// The limit of the wait for the head, and the part of it that has gone by.
    duration head_limit() const noexcept {
        return sent_all_ || lost_while_sending_ ? limits_.headers : duration::zero();
    }
    duration head_spent() const noexcept {
        return sent_all_ || lost_while_sending_ ? running_loop().time() - sent_at_ : duration();
    }

    exchange_options limits_;
    http_budget* budget_;
    bool sent_all_ = false;
    bool has_head_ = false;

private:
    task<> send(const http_outgoing& request);
    task<> send_message(const http_outgoing& request);
    task<std::string_view> next_of(http::body_source& body);
    task<> send_body(http::body_source& body);
    task<> send_piece(std::string_view piece);
    task<> append_small(std::string& to, http::body_source& body, std::uint64_t size);
    [[noreturn]] void throw_wrong_size(const char* how) const;
    task<> try_to_send(const http_outgoing& request);
    task<> try_to_receive_head();
    http_incoming take_incoming();

    time_point began_{};
    time_point sent_at_{};        // all of the request, or as much as the peer took
    std::exception_ptr unsent_;   // why the request was not sent
    std::exception_ptr unheard_;  // why the head was not received
    bool lost_while_sending_ = false;
    bool body_failed_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
