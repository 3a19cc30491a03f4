// SPDX-License-Identifier: MIT
// Compression of replies, by zlib and brotli.
#include <rondo/http/middleware.hpp>

#include <algorithm>
#include <memory>
#include <utility>

#ifdef RONDO_WITH_ZLIB
#include <zlib.h>
#endif
#ifdef RONDO_WITH_BROTLI
#include <brotli/encode.h>
#endif

#include "http/ascii.hpp"
#include "http/media_type.hpp"
#include "http/server/answer.hpp"
#include "http/server/exchange.hpp"
#include "http/server/reply_source.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

constexpr std::size_t whole_body_max = std::size_t{16} * 1024 * 1024;

using rondo::detail::flag_in;

enum class until { flushed, ended };

class body_encoder {
public:
    virtual ~body_encoder() = default;
    /// Appends the compressed form of `bytes`, all of it.
    virtual void append(std::string& to, std::string_view bytes, until when) = 0;
};

#ifdef RONDO_WITH_ZLIB
class gzip_encoder final : public body_encoder {
public:
    explicit gzip_encoder(int level) {
        constexpr int window_bits = 15 + 16;  // gzip
        if (::deflateInit2(&stream_, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    gzip_encoder(const gzip_encoder&) = delete;
    ~gzip_encoder() override { ::deflateEnd(&stream_); }

    void append(std::string& to, std::string_view bytes, until when) override {
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        do {
            char room[16384];
            stream_.next_out = reinterpret_cast<Bytef*>(room);
            stream_.avail_out = sizeof room;
            ::deflate(&stream_, when == until::ended ? Z_FINISH : Z_SYNC_FLUSH);
            to.append(room, sizeof room - stream_.avail_out);
        } while (stream_.avail_out == 0);
    }

private:
    z_stream stream_{};
};
#endif

#ifdef RONDO_WITH_BROTLI
class brotli_encoder final : public body_encoder {
public:
    explicit brotli_encoder(int level)
        : state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
        if (state_ == nullptr) throw std::bad_alloc();
        BrotliEncoderSetParameter(state_, BROTLI_PARAM_QUALITY, static_cast<std::uint32_t>(level));
        // 512 KiB, as other servers have it: the usual 4 MiB would be memory for each stream.
        BrotliEncoderSetParameter(state_, BROTLI_PARAM_LGWIN, 19);
    }
    brotli_encoder(const brotli_encoder&) = delete;
    ~brotli_encoder() override { BrotliEncoderDestroyInstance(state_); }

    void append(std::string& to, std::string_view bytes, until when) override {
        const auto* from = reinterpret_cast<const std::uint8_t*>(bytes.data());
        std::size_t left = bytes.size(), none = 0;
        const BrotliEncoderOperation how =
            when == until::ended ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH;
        std::size_t size = 0;
        do {
            if (!BrotliEncoderCompressStream(state_, how, &left, &from, &none, nullptr, nullptr))
                throw std::bad_alloc();  // its only failure here
            size = 0;
            const std::uint8_t* const out = BrotliEncoderTakeOutput(state_, &size);
            to.append(reinterpret_cast<const char*>(out), size);
            // It stops at output that was not taken, perhaps before the last block: it has nothing
            // more to say only if it gave nothing.
        } while (left != 0 || size != 0);
    }

private:
    BrotliEncoderState* state_;
};
#endif

/// `coding` is one that choose_coding() gives.
std::unique_ptr<body_encoder> make_encoder(std::string_view coding, [[maybe_unused]] int level) {
#ifdef RONDO_WITH_BROTLI
    if (coding == "br") return std::make_unique<brotli_encoder>(level);
#endif
#ifdef RONDO_WITH_ZLIB
    if (coding == "gzip") return std::make_unique<gzip_encoder>(level);
#endif
    throw error("no encoder of " + std::string(coding));
}

/// The exchange of a stream whose pieces are compressed on their way.
class compressed_exchange final : public rondo::detail::http_server_exchange {
public:
    compressed_exchange(rondo::detail::http_server_exchange& to, std::string_view coding, int level)
        : to_(to), encoder_(make_encoder(coding, level)) {}

    task<std::string_view> read_body() override { return to_.read_body(); }
    const fields& request_trailers() const noexcept override { return to_.request_trailers(); }
    fields& reply_trailers() noexcept override { return to_.reply_trailers(); }
    endpoint peer() const override { return to_.peer(); }
    bool is_secure() const noexcept override { return to_.is_secure(); }
    task<> write_body(const_buffer data) override {
        check_alone();
        const flag_in writing(is_writing_);
        while (!data.empty()) {
            const const_buffer piece = data.first(std::min<std::size_t>(data.size(), 1U << 20));
            out_.clear();
            encoder_->append(out_, piece.text(), until::flushed);
            co_await to_.write_body(out_);
            data = data.without_first(piece.size());
        }
    }
    task<> finish() {
        check_alone();
        out_.clear();
        encoder_->append(out_, {}, until::ended);
        co_await to_.write_body(out_);
    }

private:
    /// The encoder and its output are for one at a time.
    void check_alone() const {
        if (is_writing_) throw invalid_state_error("another task writes the body of this reply");
    }

    rondo::detail::http_server_exchange& to_;
    std::unique_ptr<body_encoder> encoder_;
    std::string out_;
    bool is_writing_ = false;
};

using stream_function = rondo::detail::function<task<>(body_writer&)>;

/// `inner` lives in the closure that calls this, until the stream has ended.
task<> write_compressed(stream_function* inner, std::string_view coding, int level,
                        body_writer* out) {
    compressed_exchange exchange(out->exchange(), coding, level);
    body_writer writer(exchange);
    auto writing = (*inner)(writer);
    co_await std::move(writing);
    co_await exchange.finish();
}

/// The weight of a coding in accept-encoding in thousandths: "br;q=0.5" is 500.
int weight_of(const parameters& coding) {
    const std::string_view text = coding.get("q").value_or("1");
    if (text.empty() || text.front() != '0') return 1000;
    int weight = 0, digit = 100;
    for (std::size_t i = 2; i < text.size() && digit != 0; ++i, digit /= 10)
        if (text[i] >= '0' && text[i] <= '9') weight += (text[i] - '0') * digit;
    return weight;
}

/// The coding that the client likes best, of two alike the one with the smaller results; "" if it
/// accepts none.
std::string_view choose_coding(const fields& headers) {
    struct offer {
        std::string_view name;
        int weight = -1;  // not named
    };
    offer offers[] = {
#ifdef RONDO_WITH_BROTLI
        {"br"},
#endif
#ifdef RONDO_WITH_ZLIB
        {"gzip"},
#endif
        {""},
    };
    int others = 0;
    const std::string all = headers.joined("accept-encoding");
    for (const std::string_view element : split_list(all)) {
        const parameters coding(element);
        if (coding.value() == "*") others = weight_of(coding);
        for (offer& each : offers)
            if (!each.name.empty() && same_word(coding.value(), each.name))
                each.weight = weight_of(coding);
    }
    const offer* best = std::end(offers) - 1;
    int best_weight = 0;
    for (offer& each : offers) {
        const int weight = each.weight < 0 ? others : each.weight;
        if (each.name.empty() || weight <= best_weight) continue;
        best = &each;
        best_weight = weight;
    }
    return best->name;
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
    const std::string_view coding = choose_coding(to.headers());
    if (coding.empty()) co_return made;
    if (std::string* const body = made.body()) {
        std::string small;
        make_encoder(coding, options.level)->append(small, *body, until::ended);
        *body = std::move(small);
    } else {
        made.source()->length.reset();
        stream_function* const writer = made.writer();
        stream_function inner = std::move(*writer);
        *writer = [inner = std::move(inner), coding, level = options.level](
                             body_writer& out) mutable {
            return write_compressed(&inner, coding, level, &out);
        };
    }
    made.header("content-encoding", coding);
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
#if !defined(RONDO_WITH_ZLIB) && !defined(RONDO_WITH_BROTLI)
    throw error(
        "compress needs zlib or brotli, and librondo-http was built without both (Debian: "
        "zlib1g-dev, libbrotli-dev)");
#endif
    if (options.level < 1 || options.level > 9) throw error("compress: the level is from 1 to 9");
    return [options](http::request& to, next_handler next) {
        return compress_reply(options, to, next);
    };
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
