// SPDX-License-Identifier: MIT
// Uploads of forms: parts as they come.
#include <memory>
#include <utility>

#include <rondo/file.hpp>
#include <rondo/file_system.hpp>
#include <rondo/http/request.hpp>

#include "http/multipart_parser.hpp"
#include "http/server/exchange.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

using http::multipart_parser;

struct multipart_state {
    multipart_state(http_server_request& request, std::string_view type)
        : from(request), parser(type) {}

    http_server_request& from;
    multipart_parser parser;
    std::string_view unread;  // of the body
    // Of the current part. The parser's own become those of the next one with the end of this one.
    std::string name, file_name;
    http::fields headers;
    bool is_file = false;
    bool is_in_part = false;
    bool has_next = false;  // the parser has the head of the next part
    bool has_ended = false;

    task<multipart_parser::step> step();
    task<std::string_view> read();
};

/// The next event of the parser.
task<multipart_parser::step> multipart_state::step() {
    for (;;) {
        const auto found = parser.next(unread);
        unread.remove_prefix(found.consumed);
        if (found.what == multipart_parser::event::failed)
            throw http::reply_error(400, parser.why().text);
        if (found.what != multipart_parser::event::need_more) co_return found;
        unread = co_await from.exchange->read_body();
        if (unread.empty() && !parser.finish()) throw http::reply_error(400, parser.why().text);
    }
}

/// The next bytes of the current part; empty at its end.
task<std::string_view> multipart_state::read() {
    while (is_in_part) {
        const auto found = co_await step();
        if (found.what == multipart_parser::event::body && found.body.empty()) continue;
        if (found.what == multipart_parser::event::body) co_return found.body;
        is_in_part = false;
        has_next = found.what == multipart_parser::event::part;
        has_ended = found.what == multipart_parser::event::end;
    }
    co_return std::string_view();
}

}  // namespace detail

namespace http {

multipart_reader::multipart_reader(rondo::detail::http_server_request& from) {
    const std::string_view type = from.headers->get("content-type").value_or("");
    auto state = std::make_unique<rondo::detail::multipart_state>(from, type);
    if (state->parser.why().kind != h1::fault::none)
        throw reply_error(415, "the body is not multipart/form-data with a boundary");
    state_ = std::move(state);
}
multipart_reader::multipart_reader(multipart_reader&&) noexcept = default;
multipart_reader& multipart_reader::operator=(multipart_reader&&) noexcept = default;
multipart_reader::~multipart_reader() = default;

const std::string& multipart_reader::name() const noexcept { return state_->name; }
bool multipart_reader::is_file() const noexcept { return state_->is_file; }
const std::string& multipart_reader::file_name() const noexcept { return state_->file_name; }
const fields& multipart_reader::headers() const noexcept { return state_->headers; }

task<bool> multipart_reader::next() {
    auto& state = *state_;
    while (state.is_in_part) co_await state.read();
    if (!state.has_next && !state.has_ended) {
        const auto found = co_await state.step();
        state.has_next = found.what == multipart_parser::event::part;
        state.has_ended = !state.has_next;
    }
    if (state.has_next) {
        state.name = state.parser.name();
        state.file_name = state.parser.file_name();
        state.headers = state.parser.headers();
        state.is_file = state.parser.is_file();
        state.has_next = false;
        state.is_in_part = true;
        co_return true;
    }
    do state.unread = co_await state.from.exchange->read_body();  // it means nothing
    while (!state.unread.empty());
    co_return false;
}

task<chunk> multipart_reader::read_some() {
    const std::string_view piece = co_await state_->read();
    if (piece.empty()) co_return chunk();
    co_return chunk(const_cast<char*>(piece.data()), piece.size());
}

task<std::string> multipart_reader::text(std::size_t limit) {
    std::string all;
    for (;;) {
        const std::string_view piece = co_await state_->read();
        if (piece.empty()) break;
        if (piece.size() > limit - all.size())
            throw reply_error(413, "the field \"" + name() + "\" of the form is longer than " +
                                       std::to_string(limit) + " bytes");
        all += piece;
    }
    co_return all;
}

namespace {

task<std::uint64_t> write_part(rondo::detail::multipart_state* from, file* to,
                               std::uint64_t limit) {
    std::uint64_t written = 0;
    for (;;) {
        const std::string_view piece = co_await from->read();
        if (piece.empty()) break;
        if (piece.size() > limit - written)
            throw reply_error(413, "the file \"" + from->name + "\" of the form is longer than " +
                                       std::to_string(limit) + " bytes");
        co_await to->write_all(piece);
        written += piece.size();
    }
    co_return written;
}

}  // namespace

task<std::uint64_t> multipart_reader::save_to(std::string path, std::uint64_t limit) {
    file to = co_await file::create(path);
    std::exception_ptr failed;
    std::uint64_t written = 0;
    try {
        written = co_await write_part(state_.get(), &to, limit);
        co_await to.close();
    } catch (...) {
        failed = std::current_exception();
    }
    if (!failed) co_return written;
    rondo::detail::inner_scope held_back(rondo::detail::inner_scope::kind::shield);
    try {
        auto removing = remove_file(path);
        co_await std::move(removing);
    } catch (const std::system_error&) {  // the first error says more
    }
    std::rethrow_exception(failed);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
