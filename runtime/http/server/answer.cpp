// SPDX-License-Identifier: MIT
// From a request to the end of its reply, whatever the version of HTTP.
#include "http/server/answer.hpp"

#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/error.hpp>
#include <rondo/loop.hpp>

#include "http/server/files.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

bool is_unopened_file(const http::reply& reply) noexcept {
    return reply.source() != nullptr && reply.source()->is_unopened_file();
}

}  // namespace

void http_answer::begin_answer() {
    body_status_ = 0;
    body_error_.clear();
    reply_trailers_.clear();
    sent_ = 0;
    began_ = now(running());
    is_at_work_ = true;
    is_open_ = true;
}

// The frame is small enough for the pool of frames: the rare ways have frames of their own.
task<> http_answer::answer() {
    std::exception_ptr error;
    try {
        reply_.emplace(co_await http::next_handler(*server_.routes, facade_)(facade_));
    } catch (const cancelled&) {
        throw;
    } catch (...) {
        error = std::current_exception();
    }
    if (error || is_unopened_file(*reply_)) co_await complete_reply(std::move(error));
    is_at_work_ = false;
    const int status = reply_->status();
    co_await send(*reply_);
    reply_.reset();
    log(status);
}

task<> http_answer::complete_reply(std::exception_ptr error) {
    if (error) reply_.emplace(co_await reply_to_error(std::move(error)));
    if (!is_unopened_file(*reply_)) co_return;
    http::reply asked = std::move(*reply_);
    reply_.emplace(co_await open_reply_file(std::move(asked), facade_));
}

task<http::reply> http_answer::reply_to_error(std::exception_ptr error) {
    std::optional<http::reply> made;
    try {
        std::rethrow_exception(error);
    } catch (const http::reply_error& meant) {
        made.emplace(http::reply::text(std::string(meant.what()) + '\n', meant.status()));
    } catch (...) {
    }
    if (made) co_return std::move(*made);
    if (server_.routes->on_error) {
        try {
            co_return co_await server_.routes->on_error(facade_, error);
        } catch (const cancelled&) {
            throw;
        } catch (...) {
            error = std::current_exception();
        }
    }
    if (!is_gone_) report(error);
    co_return http::reply::status(500);
}

/// To the loop's exception handler: the client learns nothing of it.
void http_answer::report(std::exception_ptr error) noexcept {
    try {
        exception_context context;
        context.message = "the handler of " + std::string(request_.method) + ' ' +
                          std::string(request_.path) + " failed";
        context.error = std::move(error);
        running_loop().call_exception_handler(context);
    } catch (...) {  // no memory for the report
    }
}

void http_answer::fail_body(int status, std::string_view text) {
    body_status_ = status;
    body_error_ = text;
    throw http::reply_error(status, text);
}

void http_answer::abandon() noexcept {
    if (is_open_) log(499);  // as nginx has it
}

void http_answer::log(int status) noexcept {
    is_open_ = false;
    auto& fn = server_.routes->log;
    if (!fn || request_.method.empty()) return;
    try {
        fn(http::access{&facade_, status, sent_, now(running()) - began_,
                        std::chrono::system_clock::now()});
    } catch (...) {
        report(std::current_exception());
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
