// SPDX-License-Identifier: MIT
// The decoders of zlib, brotli and zstd behind one interface.
#include "http/ascii.hpp"
#include "http/coding.hpp"

#ifdef RONDO_WITH_BROTLI
#include <brotli/decode.h>
#endif
#ifdef RONDO_WITH_ZLIB
#include <zlib.h>
#endif
#ifdef RONDO_WITH_ZSTD
#include <zstd.h>
#endif

#include <algorithm>
#include <new>

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

using result = coding_stage::result;

#ifdef RONDO_WITH_ZLIB
/// gzip with all its members; "deflate", which is zlib's format, or of some servers the bare one.
class zlib_stage final : public coding_stage {
public:
    enum class format : std::uint8_t { gzip, deflate };
    explicit zlib_stage(format kind) : format_(kind) {
        if (kind == format::gzip) begin(gzip_bits);
    }
    zlib_stage(const zlib_stage&) = delete;
    zlib_stage& operator=(const zlib_stage&) = delete;
    ~zlib_stage() override {
        if (is_begun_) inflateEnd(&stream_);
    }

    result run(std::string_view& in, char*& out, std::size_t& room) override {
        if (!is_begun_ && !choose_format(in)) return result::good;
        if (!prefix_.empty()) {
            std::string_view kept = prefix_;
            const result first = inflate_some(kept, out, room);
            prefix_.erase(0, prefix_.size() - kept.size());
            if (first == result::broken || !prefix_.empty()) return first;
        }
        return inflate_some(in, out, room);
    }

    bool is_complete() const noexcept override {
        return is_at_end_ || (!has_input_ && prefix_.empty());  // an empty body is one
    }

private:
    static constexpr int zlib_bits = 15, gzip_bits = 15 + 16, bare_bits = -15;

    void begin(int bits) {
        if (inflateInit2(&stream_, bits) != Z_OK) throw std::bad_alloc();
        is_begun_ = true;
    }

    /// Looks at two bytes. Returns: false if they have not come yet.
    bool choose_format(std::string_view& in) {
        while (prefix_.size() < 2 && !in.empty()) {
            prefix_ += in.front();
            in.remove_prefix(1);
        }
        if (prefix_.size() < 2) return false;
        const auto first = static_cast<unsigned char>(prefix_[0]);
        const auto second = static_cast<unsigned char>(prefix_[1]);
        const bool is_zlib =
            (first & 15) == 8 && first >> 4 <= 7 && (first * 256 + second) % 31 == 0;
        begin(is_zlib ? zlib_bits : bare_bits);
        return true;
    }

    result inflate_some(std::string_view& in, char*& out, std::size_t& room) {
        while (room > 0) {
            if (is_at_end_ && !begin_member(in)) return in.empty() ? result::good : result::broken;
            const std::size_t had_in = in.size(), had_room = room;
            const int status = step(in, out, room);
            has_input_ = has_input_ || in.size() < had_in;
            if (status == Z_STREAM_END)
                is_at_end_ = true;
            else if (status != Z_OK && status != Z_BUF_ERROR)
                return result::broken;
            else if (in.size() == had_in && room == had_room)
                return result::good;  // wants input
        }
        return result::good;
    }

    /// Bytes after the end: another member of gzip, or zeros that fill a block.
    bool begin_member(std::string_view& in) {
        while (!in.empty() && in.front() == '\0') in.remove_prefix(1);
        if (in.empty() || format_ != format::gzip) return false;
        inflateReset(&stream_);
        is_at_end_ = false;
        return true;
    }

    int step(std::string_view& in, char*& out, std::size_t& room) {
        constexpr std::size_t most = std::size_t{1} << 30;
        const auto give = static_cast<uInt>(std::min(in.size(), most));
        const auto take = static_cast<uInt>(std::min(room, most));
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
        stream_.avail_in = give;
        stream_.next_out = reinterpret_cast<Bytef*>(out);
        stream_.avail_out = take;
        const int status = inflate(&stream_, Z_NO_FLUSH);
        in.remove_prefix(give - stream_.avail_in);
        out += take - stream_.avail_out;
        room -= take - stream_.avail_out;
        return status;
    }

    z_stream stream_{};
    std::string prefix_;
    format format_;
    bool is_begun_ = false;
    bool is_at_end_ = false;
    bool has_input_ = false;
};
#endif

#ifdef RONDO_WITH_BROTLI
class brotli_stage final : public coding_stage {
public:
    brotli_stage() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
        if (state_ == nullptr) throw std::bad_alloc();
    }
    brotli_stage(const brotli_stage&) = delete;
    brotli_stage& operator=(const brotli_stage&) = delete;
    ~brotli_stage() override { BrotliDecoderDestroyInstance(state_); }

    result run(std::string_view& in, char*& out, std::size_t& room) override {
        if (BrotliDecoderIsFinished(state_)) return in.empty() ? result::good : result::broken;
        has_input_ = has_input_ || !in.empty();
        const auto* from = reinterpret_cast<const std::uint8_t*>(in.data());
        auto* to = reinterpret_cast<std::uint8_t*>(out);
        std::size_t give = in.size();
        const auto status =
            BrotliDecoderDecompressStream(state_, &give, &from, &room, &to, nullptr);
        in.remove_prefix(in.size() - give);
        out = reinterpret_cast<char*>(to);
        if (status == BROTLI_DECODER_RESULT_ERROR) return result::broken;
        return status == BROTLI_DECODER_RESULT_SUCCESS && !in.empty() ? result::broken
                                                                      : result::good;
    }
    bool is_complete() const noexcept override {
        return !has_input_ || BrotliDecoderIsFinished(state_);
    }

private:
    BrotliDecoderState* state_;
    bool has_input_ = false;
};
#endif

#ifdef RONDO_WITH_ZSTD
class zstd_stage final : public coding_stage {
public:
    zstd_stage() : stream_(ZSTD_createDStream()) {
        if (stream_ == nullptr) throw std::bad_alloc();
        // RFC 9659: a window of 8 MiB at most, so that a peer cannot make us take more.
        ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, 23);
    }
    zstd_stage(const zstd_stage&) = delete;
    zstd_stage& operator=(const zstd_stage&) = delete;
    ~zstd_stage() override { ZSTD_freeDStream(stream_); }

    result run(std::string_view& in, char*& out, std::size_t& room) override {
        while (room > 0 && !(in.empty() && is_at_end_)) {
            // The first byte of a frame alone: libzstd has another decoder for frames that come as
            // a whole, and the two differ about what is wrong.
            ZSTD_inBuffer from{in.data(), is_at_end_ ? 1 : in.size(), 0};
            ZSTD_outBuffer to{out, room, 0};
            const std::size_t status = ZSTD_decompressStream(stream_, &to, &from);
            if (ZSTD_isError(status)) return result::broken;
            keep_head(in.substr(0, from.pos));
            in.remove_prefix(from.pos);
            out += to.pos;
            room -= to.pos;
            produced_ += to.pos;
            is_at_end_ = status == 0;  // of a frame; another may follow
            if (is_at_end_ && !has_said_size()) return result::broken;
            if (from.pos == 0 && to.pos == 0) break;
        }
        return result::good;
    }
    bool is_complete() const noexcept override { return is_at_end_; }

private:
    static constexpr std::size_t head_bytes = 18;  // the most of a frame's head, RFC 8878, 3.1.1.1

    void keep_head(std::string_view bytes) {
        head_ += bytes.substr(0, head_bytes - head_.size());
    }

    /// Checks the size in the head of the frame that ends here, and forgets the frame. libzstd 1.5
    /// does not check it if the last block is empty and the frame comes in pieces.
    bool has_said_size() {
        const unsigned long long said = ZSTD_getFrameContentSize(head_.data(), head_.size());
        const bool holds = said == ZSTD_CONTENTSIZE_UNKNOWN || said == produced_;
        head_.clear();
        produced_ = 0;
        return holds;
    }

    ZSTD_DStream* stream_;
    std::string head_;
    std::uint64_t produced_ = 0;  // of this frame
    bool is_at_end_ = true;
};
#endif

template <class Stage, class... Arguments>
std::unique_ptr<coding_stage> made(Arguments... arguments) {
    return std::make_unique<Stage>(arguments...);
}

/// Unused if all libraries are there.
[[maybe_unused]] std::string missing(const char* name, const char* package) {
    return std::string("the content coding ") + name + " needs " + package +
           ", which librondo-http was built without";
}

}  // namespace

std::unique_ptr<coding_stage> make_coding_stage(std::string_view name, std::string& error) {
    const bool is_gzip = same_word(name, "gzip") || same_word(name, "x-gzip");
    if (is_gzip || same_word(name, "deflate")) {
#ifdef RONDO_WITH_ZLIB
        return made<zlib_stage>(is_gzip ? zlib_stage::format::gzip : zlib_stage::format::deflate);
#else
        error = missing(is_gzip ? "gzip" : "deflate", "zlib1g-dev");
#endif
    } else if (same_word(name, "br")) {
#ifdef RONDO_WITH_BROTLI
        return made<brotli_stage>();
#else
        error = missing("br", "libbrotli-dev");
#endif
    } else if (same_word(name, "zstd")) {
#ifdef RONDO_WITH_ZSTD
        return made<zstd_stage>();
#else
        error = missing("zstd", "libzstd-dev");
#endif
    } else {
        error = "the content coding \"" + ascii::printable(name) + "\" is unknown";
    }
    return nullptr;
}

std::string_view accept_encoding() noexcept {
    static constexpr std::string_view all =
#ifdef RONDO_WITH_ZLIB
        ", gzip, deflate"
#endif
#ifdef RONDO_WITH_BROTLI
        ", br"
#endif
#ifdef RONDO_WITH_ZSTD
        ", zstd"
#endif
        "";
    return all.empty() ? "identity" : all.substr(std::min<std::size_t>(2, all.size()));
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
