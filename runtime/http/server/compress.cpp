// SPDX-License-Identifier: MIT
// Compression of replies, by zlib.
#include <rondo/http/middleware.hpp>

#include <algorithm>
#include <memory>
#include <utility>

#ifdef RONDO_WITH_ZLIB
#include <zlib.h>
#endif

#include "http/ascii.hpp"
#include "http/media_type.hpp"
#include "http/server/exchange.hpp"
#include "http/server/reply_source.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

#ifdef RONDO_WITH_ZLIB

namespace {

constexpr std::size_t whole_body_max = std::size_t{16} * 1024 * 1024;

class gzip_encoder {
public:
    explicit gzip_encoder(int level) {
        constexpr int window_bits = 15 + 16;  // gzip
        if (::deflateInit2(&stream_, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    gzip_encoder(const gzip_encoder&) = delete;
    ~gzip_encoder() { ::deflateEnd(&stream_); }

    /// Appends the compressed form of `bytes`; with Z_SYNC_FLUSH all of it, with Z_FINISH the end.
    void append(std::string& to, std::string_view bytes, int flush) {
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        do {
            char room[16384];
            stream_.next_out = reinterpret_cast<Bytef*>(room);
            stream_.avail_out = sizeof room;
            ::deflate(&stream_, flush);
            to.append(room, sizeof room - stream_.avail_out);
        } while (stream_.avail_out == 0);
    }

private:
    z_stream stream_{};
};

/// The exchange of a stream whose pieces are compressed on their way.
class gzip_exchange final : public rondo::detail::http_server_exchange {
public:
    gzip_exchange(rondo::detail::http_server_exchange& to, int level) : to_(to), encoder_(level) {}

    task<std::string_view> read_body() override { return to_.read_body(); }
    const fields& request_trailers() const noexcept override { return to_.request_trailers(); }
    fields& reply_trailers() noexcept override { return to_.reply_trailers(); }
    endpoint peer() const override { return to_.peer(); }
    bool is_secure() const noexcept override { return to_.is_secure(); }
    task<> write_body(const_buffer data) override {
        while (!data.empty()) {
            const const_buffer piece = data.first(std::min<std::size_t>(data.size(), 1U << 20));
            out_.clear();
            encoder_.append(out_, piece.text(), Z_SYNC_FLUSH);
            co_await to_.write_body(out_);
            data = data.without_first(piece.size());
        }
    }
    task<> finish() {
        out_.clear();
        encoder_.append(out_, {}, Z_FINISH);
        co_await to_.write_body(out_);
    }

private:
    rondo::detail::http_server_exchange& to_;
    gzip_encoder encoder_;
    std::string out_;
};

using stream_function = rondo::detail::function<task<>(body_writer&)>;

/// `inner` lives in the closure that calls this, until the stream has ended.
task<> write_compressed(stream_function* inner, int level, body_writer* out) {
    gzip_exchange exchange(out->exchange(), level);
    body_writer writer(exchange);
    auto writing = (*inner)(writer);
    co_await std::move(writing);
    co_await exchange.finish();
}

/// True if accept-encoding names gzip, or all codings, with a weight that is not 0.
bool accepts_gzip(const fields& headers) {
    bool is_accepted = false;
    const std::string all = headers.joined("accept-encoding");
    for (const std::string_view element : split_list(all)) {
        const parameters coding(element);
        const bool is_named = same_word(coding.value(), "gzip");
        if (!is_named && coding.value() != "*") continue;
        const std::string_view weight = coding.get("q").value_or("1");
        const bool is_zero = weight.find_first_not_of("0.") == weight.npos;
        is_accepted = !is_zero;
        if (is_named) break;
    }
    return is_accepted;
}

bool is_worth_it(reply& made, const compress_options& options) {
    const int status = made.status();
    if (status == 204 || status == 206 || status == 304) return false;
    if (made.headers().contains("content-encoding") || made.headers().contains("content-range"))
        return false;
    if (made.headers().has_token("cache-control", "no-transform")) return false;
    if (!is_compressible(parameters(made.content_type()).value())) return false;
    const std::string* const body = made.body();
    if (body == nullptr) return made.writer() != nullptr;
    return body->size() >= options.least && body->size() <= whole_body_max;
}

task<reply> compress_reply(compress_options options, http::request& to, next_handler next) {
    reply made = co_await next(to);
    if (!is_worth_it(made, options)) co_return made;
    if (!made.headers().has_token("vary", "accept-encoding"))
        made.headers().add("vary", "accept-encoding");
    if (!accepts_gzip(to.headers())) co_return made;
    if (std::string* const body = made.body()) {
        std::string small;
        gzip_encoder(options.level).append(small, *body, Z_FINISH);
        *body = std::move(small);
    } else {
        made.source()->length.reset();
        stream_function* const writer = made.writer();
        stream_function inner = std::move(*writer);
        *writer = [inner = std::move(inner), level = options.level](
                             body_writer& out) mutable {
            return write_compressed(&inner, level, &out);
        };
    }
    made.header("content-encoding", "gzip");
    // The bytes are others, so a strong tag would lie.
    const auto tag = made.headers().get("etag");
    if (tag && !tag->starts_with("W/")) {
        const std::string weak = "W/" + std::string(*tag);
        made.header("etag", weak);
    }
    co_return made;
}

}  // namespace

middleware compress(compress_options options) {
    if (options.level < 1 || options.level > 9) throw error("compress: the level is from 1 to 9");
    return [options](http::request& to, next_handler next) {
        return compress_reply(options, to, next);
    };
}

#else

middleware compress(compress_options) {
    throw error("compress needs zlib, which librondo-http was built without (Debian: zlib1g-dev)");
}

#endif

}  // namespace http
}  // namespace v0
}  // namespace rondo
