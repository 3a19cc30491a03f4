// SPDX-License-Identifier: MIT
// Compression of messages by zlib (RFC 7692, section 7.2).
#include "http/websocket/deflate.hpp"

#ifdef RONDO_WITH_ZLIB
#include <zlib.h>
#endif

#include <algorithm>
#include <limits>
#include <new>

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

#ifdef RONDO_WITH_ZLIB

namespace {

// Each message ends with an empty block, of which only the first bits are sent.
constexpr std::string_view tail{"\0\0\xff\xff", 4};
constexpr std::size_t step_bytes = std::size_t{16} * 1024;

Bytef* input_of(std::string_view bytes) noexcept {  // zlib does not write to it
    return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
}

uInt size_of(std::size_t bytes) noexcept {
    return static_cast<uInt>(std::min<std::size_t>(bytes, std::numeric_limits<int>::max()));
}

/// The state that messages without a common context share.
std::unique_ptr<z_stream, deflate_end>& shared_state() {
    static thread_local std::unique_ptr<z_stream, deflate_end> state;
    return state;
}

/// The message, compressed. It leaves the state between two messages.
std::string deflate_all(z_stream& stream, std::string_view message) {
    std::string out;
    char room[step_bytes];
    do {
        if (stream.avail_in == 0) {
            stream.next_in = input_of(message);
            stream.avail_in = size_of(message.size());
            message.remove_prefix(stream.avail_in);
        }
        stream.next_out = reinterpret_cast<Bytef*>(room);
        stream.avail_out = sizeof room;
        deflate(&stream, message.empty() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        out.append(room, sizeof room - stream.avail_out);
    } while (stream.avail_out == 0 || stream.avail_in > 0 || !message.empty());
    out.resize(out.size() - tail.size());
    return out;
}

}  // namespace

bool has_deflate() noexcept { return true; }

void inflate_end::operator()(z_stream_s* stream) const noexcept {
    inflateEnd(stream);
    delete stream;
}
void deflate_end::operator()(z_stream_s* stream) const noexcept {
    deflateEnd(stream);
    delete stream;
}

inflater::result inflater::add(std::string_view piece, std::string& to, std::size_t limit) {
    if (!stream_) {
        auto made = std::make_unique<z_stream>();
        if (inflateInit2(made.get(), -15) != Z_OK) throw std::bad_alloc();
        stream_.reset(made.release());
    }
    z_stream& stream = *stream_;
    char room[step_bytes];
    for (bool is_full = false; is_full || stream.avail_in > 0 || !piece.empty();) {
        if (stream.avail_in == 0) {
            stream.next_in = input_of(piece);
            stream.avail_in = size_of(piece.size());
            piece.remove_prefix(stream.avail_in);
        }
        // One byte more than may come, so that a message that is too long is noticed.
        const std::size_t most = std::min(limit - to.size(), sizeof room - 1) + 1;
        stream.next_out = reinterpret_cast<Bytef*>(room);
        stream.avail_out = static_cast<uInt>(most);
        const int status = inflate(&stream, Z_SYNC_FLUSH);
        const std::size_t made = most - stream.avail_out;
        const std::size_t left = limit - to.size();
        to.append(room, std::min(made, left));
        if (made > left) return result::too_long;
        is_full = made == most;  // more may be pending without input
        if (status == Z_STREAM_END)
            inflateReset(&stream);  // of a sender that marks its last block
        else if (status != Z_OK && status != Z_BUF_ERROR)
            return result::broken;
    }
    return result::good;
}

inflater::result inflater::end(std::string& to, std::size_t limit) {
    const result last = add(tail, to, limit);
    if (!in_context_) stream_.reset();
    return last;
}

std::string deflater::compressed(std::string_view message) {
    const bool is_shared = !in_context_ && window_bits_ == 15;
    std::unique_ptr<z_stream, deflate_end>& state = is_shared ? shared_state() : stream_;
    if (!state) {
        auto made = std::make_unique<z_stream>();
        const int status = deflateInit2(made.get(), Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                                        -window_bits_, 8, Z_DEFAULT_STRATEGY);
        if (status != Z_OK) throw std::bad_alloc();
        state.reset(made.release());
    }
    try {
        std::string out = deflate_all(*state, message);
        if (is_shared)
            deflateReset(state.get());
        else if (!in_context_)
            state.reset();
        return out;
    } catch (...) {  // it is in the middle of a message
        state.reset();
        throw;
    }
}

#else

bool has_deflate() noexcept { return false; }
void inflate_end::operator()(z_stream_s*) const noexcept {}
void deflate_end::operator()(z_stream_s*) const noexcept {}
// Never called: nothing is negotiated.
inflater::result inflater::add(std::string_view, std::string&, std::size_t) {
    static_cast<void>(in_context_);
    return result::broken;
}
inflater::result inflater::end(std::string&, std::size_t) { return result::broken; }
std::string deflater::compressed(std::string_view message) {
    static_cast<void>(in_context_);
    static_cast<void>(window_bits_);
    return std::string(message);
}

#endif

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
