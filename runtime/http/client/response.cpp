// SPDX-License-Identifier: MIT
// Responses: their head, and the ways to take the body.
#include <rondo/http/response.hpp>

#include <algorithm>
#include <cstring>

#include <rondo/file.hpp>
#include <rondo/file_system.hpp>
#include <rondo/shield.hpp>

#include "http/charset.hpp"
#include "http/client/events.hpp"
#include "http/client/random.hpp"
#include "http/client/response_state.hpp"
#include "http/h1/encoder.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

std::string_view text(version which) noexcept {
    switch (which) {
        case version::http_1_0: return "HTTP/1.0";
        case version::http_1_1: return "HTTP/1.1";
        case version::http_2: return "HTTP/2";
    }
    return {};
}

response::response(std::unique_ptr<rondo::detail::http_response> state) noexcept
    : state_(std::move(state)) {}
response::response(response&&) noexcept = default;
response& response::operator=(response&& other) noexcept {
    response old(std::move(other));
    state_.swap(old.state_);
    return *this;
}
response::~response() { close(); }

rondo::detail::http_response& response::state() const noexcept {
    RONDO_ASSERT(state_, "this response was moved from");
    return *state_;
}

void response::close() noexcept {
    if (!state_ || !state_->exchange) return;
    state_->close();
}

// -- head ----------------------------------------------------------------------------------------
int response::status() const noexcept { return state().head.status; }
std::string_view response::reason() const noexcept { return state().head.reason; }
http::version response::version() const noexcept { return state().head.version; }
void response::raise_for_status() const {
    if (ok()) return;
    // HTTP/2 has no reasons; the text of the error has one all the same.
    const bool is_2 = version() == http::version::http_2;
    throw status_error(status(), is_2 ? h1::reason_phrase(status()) : reason(),
                       state().budget.method(), state().budget.url());
}
const fields& response::headers() const noexcept { return state().head.headers; }
const http::url& response::url() const noexcept { return state().url; }
const std::vector<hop>& response::history() const noexcept { return state().history; }
std::optional<std::uint64_t> response::content_length() const noexcept {
    return state().head.content_length;
}
const fields& response::trailers() const noexcept { return state().exchange->trailers(); }
http::timing response::timing() const noexcept {
    http::timing times = state().times;
    if (times.total == duration::zero()) times.total = state().budget.spent();
    return times;
}

// -- body ----------------------------------------------------------------------------------------
task<chunk> response::read_some() {
    const std::string_view piece = co_await state().read();
    if (piece.empty()) co_return chunk();
    co_return chunk(const_cast<char*>(piece.data()), piece.size());  // a buffer of this response
}

task<chunk> response::read_some(buffer_view into) {
    const std::string_view piece = co_await state().read();
    if (piece.empty()) co_return chunk();
    const std::size_t taken = std::min(piece.size(), into.size());
    std::memcpy(into.data(), piece.data(), taken);
    state().unread(piece.substr(taken));
    co_return chunk(into.first(taken));
}

task<std::optional<std::string>> response::read_line(std::size_t limit) {
    rondo::detail::http_response& from = state();
    for (;;) {
        const std::string_view piece = co_await from.read();
        const std::size_t end = piece.find('\n');
        from.line += piece.substr(0, end);
        if (end != std::string_view::npos) from.unread(piece.substr(end + 1));
        if (from.line.size() > limit)
            throw limit_error("a line is longer than " + std::to_string(limit) + " bytes",
                              from.budget.method(), from.budget.url());
        if (end == std::string_view::npos && !piece.empty()) continue;
        if (piece.empty() && from.line.empty()) co_return std::nullopt;
        std::string line = std::exchange(from.line, {});
        if (end != std::string_view::npos && line.ends_with('\r')) line.pop_back();
        co_return line;
    }
}

async_generator<std::string> response::lines(std::size_t limit) {
    while (auto line = co_await read_line(limit)) co_yield *std::move(line);
}

task<std::string> response::bytes(std::size_t limit) {
    rondo::detail::http_response& from = state();
    from.limit_total();
    for (;;) {
        const std::string_view piece = co_await from.read();
        if (piece.empty()) co_return std::exchange(from.line, {});
        if (piece.size() > limit - std::min(limit, from.line.size())) {
            from.unread(piece);
            throw limit_error("the body is longer than " + std::to_string(limit) + " bytes",
                              from.budget.method(), from.budget.url());
        }
        from.line += piece;
    }
}

task<std::string> response::text(std::size_t limit) {
    const parameters type(header("content-type").value_or(""));
    const std::string charset(type.get("charset").value_or(""));
    to_utf8({}, charset);  // an unknown one throws before the body is read
    co_return to_utf8(co_await bytes(limit), charset);
}

task<json_text> response::json(std::size_t limit) {
    co_return json_text(co_await bytes(limit));
}

event_stream response::events(event_stream_options options) {
    std::unique_ptr<rondo::detail::http_request> request;
    std::optional<time_point> deadline;
    const auto& budget = state().budget;
    if (state().has_timeout && budget.left() != duration::max())
        deadline = running_loop().time() + budget.left();
    // An event of a request with a body may have changed something: it is not asked for again.
    const bool may_repeat = state().request && state().request->method == "GET" &&
                            state().request->body == rondo::detail::http_request::body_kind::none;
    if (may_repeat) request = std::move(state().request);
    return event_stream(std::make_unique<rondo::detail::http_events>(
        std::move(*this), std::move(request), deadline, options));
}

namespace {

task<std::uint64_t> write_to(rondo::detail::http_response& from, std::string path) {
    open_options options;
    options.create = options.exclusive = true;
    file to = co_await file::open(path, open_mode::write, options);
    std::uint64_t written = 0;
    for (;;) {
        const std::string_view piece = co_await from.read();
        if (piece.empty()) break;
        co_await to.write_all(piece);
        written += piece.size();
    }
    co_await to.close();
    co_return written;
}

task<> remove_if_there(std::string path) {
    try {
        co_await remove_file(std::move(path));
    } catch (const std::system_error&) {  // it was never made
    }
}

}  // namespace

task<std::uint64_t> response::save_to(std::string path) {
    rondo::detail::http_response& from = state();
    if (!from.decodes_files) from.decode_nothing();
    // Beside it, under a short name: the file's own name may be as long as the system allows.
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    const std::string unfinished = folder + ".rondo-" + rondo::detail::random_text();
    std::exception_ptr failed;
    std::uint64_t written = 0;
    try {
        written = co_await write_to(from, unfinished);
        co_await rename_path(unfinished, path);
    } catch (...) {
        failed = std::current_exception();
    }
    if (!failed) co_return written;
    auto removing = remove_if_there(unfinished);
    co_await shield(std::move(removing));
    std::rethrow_exception(failed);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
