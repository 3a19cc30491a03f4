// SPDX-License-Identifier: MIT
// Sending a request: a connection, the head, the body; then redirects and repetitions.
#include <algorithm>
#include <chrono>

#include <rondo/sleep.hpp>

#include "http/auth.hpp"
#include "http/client/authorization.hpp"
#include "http/client/body.hpp"
#include "http/client/random.hpp"
#include "http/client/redirect.hpp"
#include "http/client/request_spec.hpp"
#include "http/client/response_state.hpp"
#include "http/client/session_state.hpp"
#include "http/field_writer.hpp"
#include "http/h2/engine.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

http::date_time calendar_now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

task<> pause_for(duration span) { co_await sleep(span); }

/// A request at work. Lives in the frame of send_http.
class sending {
public:
    sending(http_request& spec, http_response& to) : spec_(spec), to_(to), session_(*to.session) {}

    task<> run();

private:
    void compose_headers();
    task<> ask_with_retries();
    task<> ask_once();
    task<> ask_authorized();
    void rewind_for_challenge();
    http_wanted wanted() const;
    task<http_lease> find_place(const http_route& route, bool fresh);
    task<std::unique_ptr<http_exchange>> open_exchange(bool fresh);
    task<> connect(http_lease& lease, const http_route& route, const exchange_options& how);
    task<bool> try_to_ask(bool fresh);
    bool may_repeat(bool is_idle_death) const;
    std::optional<duration> pause_after(int attempt) const;
    task<> follow();
    bool is_forwarded() const noexcept {
        return !spec_.upgrade && detail::is_forwarded(where_, proxy_);
    }
    [[noreturn]] void throw_refused() const {
        throw http::protocol_error("the server refuses the request again and again", method_,
                                   where_.text());
    }
    void set_request_for_errors() { to_.budget.set_request(method_, where_.text()); }

    static constexpr int refused_at_most = 5;
    static constexpr int late_at_most = 100;  // if the server carries out others meanwhile

    http_request& spec_;
    http_response& to_;
    http_session& session_;
    std::shared_ptr<http::body_source> body_;
    std::string method_;
    http::url where_;
    http::fields headers_;
    http_proxy proxies_;  // a copy: the session's may be changed while this waits
    const http::url* proxy_ = nullptr;
    bool is_same_origin_ = true;
    http_authorization authorization_{session_, spec_};
};

// -- what to send --------------------------------------------------------------------------------
void sending::compose_headers() {
    headers_.clear();
    const auto may_go = [&](std::string_view name) {
        return is_same_origin_ || http::may_cross_origins(name);
    };
    http::field_writer all(headers_);
    for (const auto& [name, value] : session_.headers)
        if (may_go(name) && !spec_.headers.contains(name)) all.add(name, value);
    for (const auto& [name, value] : spec_.headers)
        if (may_go(name)) all.add(name, value);
    const auto set_default = [&](std::string_view name, std::string_view value) {
        if (!value.empty() && !headers_.contains(name)) headers_.set(name, value);
    };
    set_default("user-agent", "rondo/" RONDO_VERSION);
    set_default("accept", "*/*");
    if (spec_.decode.value_or(session_.options.decode) && !headers_.contains("range"))
        set_default("accept-encoding", http::accept_encoding());
    if (is_same_origin_ && !headers_.contains("authorization"))
        set_default("authorization", authorization_.credentials(where_, method_));
    if (session_.options.cookies)
        set_default("cookie", session_.cookies.header(where_, calendar_now()));
    const bool has_own = !spec_.headers.empty() || !session_.headers.empty();
    if (body_ == nullptr && has_own)  // of a body that is not sent (RFC 9110, section 15.4)
        for (const char* name : {"content-type", "content-encoding", "content-language",
                                 "content-location", "content-disposition", "expect"})
            headers_.erase(name);
    if (is_forwarded() && proxy_->has_user())
        headers_.set("proxy-authorization",
                     http::basic_credentials(proxy_->user(), proxy_->password()));
}

// -- once ----------------------------------------------------------------------------------------
/// The versions of HTTP that the request can take.
http_wanted sending::wanted() const {
    if (spec_.upgrade) return http_wanted::plain;
    const auto asked = spec_.version ? spec_.version : session_.options.version;
    if (!asked)
        return where_.is_secure() && http::h2::is_available() ? http_wanted::either
                                                              : http_wanted::plain;
    if (*asked != http::version::http_2) return http_wanted::plain;
    http::h2::require_available();
    if (is_forwarded())
        throw http::error("HTTP/2 without TLS cannot go through a proxy of HTTP", method_,
                          where_.text());
    return http_wanted::shared;
}

task<http_lease> sending::find_place(const http_route& route, bool fresh) {
    for (;;) {
        auto acquiring = session_.pool->acquire(route.key(), route.wanted, fresh);
        http_lease lease = co_await to_.budget.limited(http::phase::queue, duration::zero(),
                                                       std::move(acquiring));
        if (!lease.shared() || !lease.is_reused()) co_return lease;
        auto asking = lease.shared()->is_alive();
        const bool is_alive = co_await to_.budget.limited(http::phase::queue, duration::zero(),
                                                          std::move(asking));
        if (is_alive) co_return lease;
    }
}

task<> sending::connect(http_lease& lease, const http_route& route, const exchange_options& how) {
    std::exception_ptr failed;
    try {
        auto stream = co_await connect_http(session_, route, to_.budget, to_.times);
        if (speaks_http_2(stream, route.wanted))
            lease.share(make_h2_connection(std::move(stream), how), how.keep_alive,
                        session_.options.timeouts.tls);
        else
            lease.connect(std::move(stream));
    } catch (const std::exception&) {
        failed = std::current_exception();
    }
    if (!failed) co_return;
    lease.fail();
    std::rethrow_exception(failed);
}

task<std::unique_ptr<http_exchange>> sending::open_exchange(bool fresh) {
    const http_route route{&where_, proxy_, &spec_.address, session_.tls_number, spec_.upgrade,
                           wanted()};
    const time_point before = running_loop().time();
    http_lease lease = co_await find_place(route, fresh || spec_.upgrade);
    const duration waited = running_loop().time() - before;
    to_.times.queued += waited;
    to_.budget.tell(http::trace_point::queued, {.took = waited, .reused = lease.is_reused()});
    const http::session_options& options = session_.options;
    const exchange_options how{options.head_bytes,       options.header_fields,
                               options.timeouts.headers, options.timeouts.read,
                               options.keep_alive,       options.stream_window};
    if (!lease.is_reused()) co_await connect(lease, route, how);
    if (lease.shared()) co_return make_h2_exchange(std::move(lease), how, to_.budget);
    co_return make_h1_exchange(std::move(lease), how, to_.budget);
}

/// Whether the request can be sent again after the connection was lost. `is_idle_death`: it had
/// been used before, and nothing came: the server has probably closed it before it saw the request.
bool sending::may_repeat(bool is_idle_death) const {
    if (body_ && !body_->rewind()) return false;
    if (http::is_idempotent(method_)) return true;
    if (is_idle_death) return to_.exchange->is_unsent();
    return spec_.retries && spec_.retries->any_method;
}

/// Returns: false if a connection that was used before turned out to be closed, or the server has
/// said that it did not handle the request: it is to be sent again.
task<bool> sending::try_to_ask(bool fresh) {
    to_.exchange = co_await open_exchange(fresh);
    std::string whole;
    if (is_forwarded()) whole = where_.without_user().without_fragment().text();
    const std::string authority = where_.authority();
    http_outgoing request;
    request.method = method_;
    request.scheme = where_.is_secure() ? "https" : "http";
    request.target = is_forwarded() ? std::string_view(whole) : where_.target();
    request.authority = authority;
    request.headers = &headers_;
    request.body = body_.get();
    request.upgrade = spec_.upgrade;
    std::exception_ptr lost;
    std::string why;
    try {
        to_.head = co_await to_.exchange->ask(request);
        co_return true;
    } catch (const rondo::timeout_error&) {
        throw;
    } catch (const http::protocol_error&) {  // closed before the head, or no HTTP
        lost = std::current_exception();
    } catch (const rondo::tls_error& error) {
        why = error.what();
    } catch (const std::system_error& error) {
        if (to_.exchange->has_body_failed()) throw;  // the source's own error, not the connection's
        why = error.what();
    }
    const http_exchange& tried = *to_.exchange;
    if (tried.is_refused() && (!body_ || body_->rewind())) co_return false;
    const bool is_idle_death = !fresh && tried.was_reused() && tried.is_unanswered();
    if (is_idle_death && may_repeat(true)) co_return false;
    if (lost) std::rethrow_exception(lost);
    throw http::protocol_error("the connection was lost before the response: " + why, method_,
                               where_.text());
}

task<> sending::ask_once() {
    if (session_.is_closed) throw closed_error("the HTTP session is closed");
    compose_headers();
    bool was_answered = co_await try_to_ask(false);
    for (int refused = 0, late = 0; !was_answered;) {
        const bool is_refused = to_.exchange->is_refused();
        if (is_refused && to_.exchange->came_too_late()) {
            if (++late > late_at_most) throw_refused();
        } else if (++refused > refused_at_most) {
            throw_refused();
        }
        to_.exchange->release();
        to_.budget.tell(http::trace_point::retry,
                        {.text = is_refused ? "the server did not handle the request"
                                            : "the kept connection was closed"});
        was_answered = co_await try_to_ask(!is_refused);
    }
    to_.times.first_byte = to_.budget.spent();
    if (session_.options.cookies)
        session_.cookies.receive(where_, to_.head.headers, calendar_now());
}

// -- answers to challenges -----------------------------------------------------------------------
void sending::rewind_for_challenge() {
    if (body_ && !body_->rewind())
        throw http::error(
            "Digest authentication needs a challenge of the server, and this body can be sent only "
            "once: send a request without a body before, or the body as bytes or as a file",
            method_, where_.text());
}

task<> sending::ask_authorized() {
    if (is_same_origin_ && authorization_.wants_challenge(where_)) rewind_for_challenge();
    co_await ask_once();
    while (to_.head.status == 401 && is_same_origin_ &&
           authorization_.take_challenge(where_, to_.head.headers)) {
        rewind_for_challenge();
        co_await to_.exchange->finish();
        to_.budget.tell(http::trace_point::retry, {.status = 401, .text = "Digest challenge"});
        co_await ask_once();
    }
    if (is_same_origin_) authorization_.take_next_nonce(where_, to_.head.headers);
}

// -- again ---------------------------------------------------------------------------------------
/// The time to wait before the next attempt; nothing if there is none.
std::optional<duration> sending::pause_after(int attempt) const {
    if (!spec_.retries || attempt >= spec_.retries->attempts || !may_repeat(false))
        return std::nullopt;
    const http::retry_policy& policy = *spec_.retries;
    duration pause = policy.delay;
    for (int i = 1; i < attempt && pause < policy.delay_max; ++i) pause *= 2;
    pause = std::min<duration>(pause, policy.delay_max);
    // Between half of it and all of it, so that clients that failed together come back apart.
    return pause / 2 + pause / 2 / 1024 * static_cast<duration::rep>(random_word() % 1024);
}

task<> sending::ask_with_retries() {
    for (int attempt = 1;; ++attempt) {
        std::optional<duration> pause;
        std::string why;
        int status = 0;
        try {
            co_await ask_authorized();
            if (!http::is_worth_a_retry(to_.head.status)) co_return;
            pause = pause_after(attempt);
            if (!pause) co_return;
            status = to_.head.status;
            why = to_.head.reason;
            const auto asked = http::parse_retry_after(
                to_.head.headers.get("retry-after").value_or(""), calendar_now());
            if (asked) pause = std::max<duration>(*pause, *asked);
            if (*pause > spec_.retries->delay_max) co_return;  // longer than we want to wait
        } catch (const http::connect_error& error) {
            pause = pause_after(attempt);
            if (!pause) throw;
            why = error.what();
        } catch (const http::protocol_error& error) {
            pause = pause_after(attempt);
            if (!pause) throw;
            why = error.what();
        } catch (const http::timeout_error& error) {
            if (error.phase() != http::phase::connect || to_.budget.left() == duration::zero())
                throw;  // the server may be at work on the request
            pause = pause_after(attempt);
            if (!pause) throw;
            why = error.what();
        }
        if (to_.exchange) to_.exchange->release();
        to_.budget.tell(http::trace_point::retry,
                        {.took = *pause, .status = status, .text = why});
        auto pausing = pause_for(*pause);
        co_await to_.budget.limited(http::phase::queue, duration::zero(), std::move(pausing));
    }
}

// -- redirects -----------------------------------------------------------------------------------
task<> sending::follow() {
    const http::redirect next = http::redirect_of(method_, where_, to_.head.status,
                                                  *to_.head.headers.get("location"));
    to_.history.push_back({to_.head.status, where_});
    if (next.drops_body) {
        body_.reset();
    } else if (body_ && !body_->rewind()) {
        throw http::redirect_error("a redirect wants a body again that can be sent only once",
                                   method_, where_.text());
    }
    if (to_.budget.is_traced()) {
        const std::string to = next.where.text();
        to_.budget.tell(http::trace_point::redirect, {.status = to_.head.status, .text = to});
    }
    const bool stays = next.where.origin() == where_.origin();
    if (!stays) is_same_origin_ = false;
    method_ = next.method;
    where_ = next.where;
    set_request_for_errors();
    if (stays)
        co_await to_.exchange->finish();  // the next request goes over the same connection
    else
        to_.exchange->release();
}

task<> sending::run() {
    method_ = spec_.method;
    to_.budget.set_request(method_, {});  // not the text that was given: it may have a password
    to_.has_timeout = spec_.timeout.has_value();
    if (spec_.timeout) to_.budget.limit_total(*spec_.timeout);
    where_ = spec_.whole_url();
    set_request_for_errors();
    to_.budget.tell(http::trace_point::start);
    co_await authorization_.find_user(where_);
    body_ = co_await make_body(spec_);
    if (!spec_.proxy)
        proxies_ = session_.proxy;
    else if (!spec_.proxy->empty())
        proxies_.address = proxies_.secure = proxy_url(*spec_.proxy);
    const int follow_at_most = spec_.redirects.value_or(session_.options.redirects);
    for (int followed = 0;; ++followed) {
        proxy_ = proxies_.for_url(where_);
        co_await ask_with_retries();
        if (!http::is_redirect(to_.head.status) || !to_.head.headers.contains("location")) break;
        if (follow_at_most == 0) break;
        if (followed == follow_at_most)
            throw http::redirect_error("more than " + std::to_string(follow_at_most) + " redirects",
                                       method_, where_.text());
        co_await follow();
    }
    to_.url = std::move(where_);
    const bool decodes = spec_.decode.value_or(session_.options.decode);
    to_.decodes_files = spec_.decode.value_or(false);
    to_.begin_body(decodes);
}

}  // namespace

task<http::response> send_http(std::unique_ptr<http_request> spec) {
    auto state = std::make_unique<http_response>(spec->session);
    sending work(*spec, *state);
    if (spec->session->trace) state->budget.trace(spec->session->trace, ++spec->session->requests);
    try {
        co_await work.run();
    } catch (const std::exception& error) {
        state->budget.tell(http::trace_point::error, {.text = error.what()});
        throw;
    } catch (...) {
        state->budget.tell(http::trace_point::error, {.text = "cancelled"});
        throw;
    }
    state->request = std::move(spec);
    co_return http::response(std::move(state));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
