// SPDX-License-Identifier: MIT
// Content codings: the same text however the bytes are cut and however little room there is; bombs
// and bodies that are cut off are refused.
#include "http/coding.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#ifdef RONDO_WITH_ZLIB
#include <zlib.h>
#endif
#ifdef RONDO_WITH_ZSTD
#include <zstd.h>
#endif

#include "http/split_ways.hpp"
#include "support/catch.hpp"

using namespace rondo;
using http::coding_limits;
using http::content_decoder;
using split_ways::pieces;

namespace {

const std::string text = "to be or not to be, that is the question: to be or not to be";

#ifdef RONDO_WITH_ZLIB
std::string deflated(std::string_view plain, int window_bits) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&stream, plain.size()) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    stream.avail_in = static_cast<uInt>(plain.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}
std::string gzipped(std::string_view plain) { return deflated(plain, 15 + 16); }
#endif

#ifdef RONDO_WITH_ZSTD
std::string zstd(std::string_view plain) {
    std::string out(ZSTD_compressBound(plain.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
    return out;
}
#endif

#ifdef RONDO_WITH_BROTLI
std::string from_hex(std::string_view digits) {
    std::string bytes;
    for (std::size_t i = 0; i < digits.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
    return bytes;
}
// Made by Node's zlib.brotliCompressSync, since the encoder is not linked.
const std::string brotli_text =
    from_hex("1b3b00f88dd365f6d3098d1a844e4e67bf89b995ed4282516720dd400ec184e4a371173823053521");
const std::string brotli_zeros = from_hex("9bffff3ff82700e2b14020f7fe07");  // 4 MiB of them
#endif

struct decoded {
    std::string plain;
    std::string error;
    bool operator==(const decoded&) const = default;
};

decoded decode(const std::string& codings, const pieces& parts, std::size_t room,
               const coding_limits& bounds = {}) {
    content_decoder decoder(codings, bounds);
    decoded result;
    std::vector<char> out(room);
    split_ways::feed(parts, [&](std::string_view bytes) {
        for (;;) {
            const auto step = decoder.decode(bytes, out.data(), room);
            if (step.has_failed) return;
            if (step.produced > room || step.consumed > bytes.size()) FAIL("beyond its room");
            result.plain.append(out.data(), step.produced);
            bytes.remove_prefix(step.consumed);
            if (step.produced == room) continue;
            if (!bytes.empty()) FAIL("input is left, though there was room");
            return;
        }
    });
    if (!decoder.has_failed()) decoder.finish();
    result.error = decoder.why().text;
    return result;
}

/// However the bytes are cut, and with little and much room.
[[maybe_unused]] decoded decode_every_way(const std::string& codings, std::string_view bytes) {
    return split_ways::same_every_way(bytes, [&](const pieces& parts) {
        const decoded wide = decode(codings, parts, 4096);
        if (parts.size() < 3 && !(decode(codings, parts, 1).error == wide.error))
            FAIL("differs byte by byte");
        return decoded{wide.error.empty() ? wide.plain : "", wide.error};
    });
}

}  // namespace

TEST_CASE("coding: none and identity leave the body alone", "[http_coding]") {
    CHECK(content_decoder("").is_identity());
    CHECK(content_decoder(" identity, Identity").is_identity());
    const content_decoder unknown("gzip, secret\x1b");
    CHECK_FALSE(unknown.is_identity());
    CHECK(unknown.has_failed());
    CHECK_THAT(unknown.why().text, Catch::Contains("\"secret?\" is unknown"));
}

#ifdef RONDO_WITH_ZLIB
TEST_CASE("coding: gzip and deflate, however they are cut", "[http_coding]") {
    const std::string packed = gzipped(text);
    CHECK(decode_every_way("gzip", packed) == decoded{text, ""});
    CHECK(decode_every_way("x-GZIP", packed).plain == text);
    CHECK(decode_every_way("gzip", "") == decoded{"", ""});
    CHECK(decode_every_way("gzip", gzipped("")) == decoded{"", ""});
    CHECK(decode_every_way("gzip", packed + packed + gzipped("!")).plain == text + text + "!");
    CHECK(decode_every_way("gzip", packed + std::string(9, '\0')).plain == text);
    CHECK(decode_every_way("deflate", deflated(text, 15)).plain == text);
    CHECK(decode_every_way("deflate", deflated(text, -15)).plain == text);
    CHECK(decode_every_way("deflate, gzip", gzipped(deflated(text, 15))).plain == text);
    CHECK(decode_every_way("gzip, identity, gzip", gzipped(packed)).plain == text);

    for (const std::string& bad :
         {packed + "x", packed + packed.substr(0, 5), packed.substr(0, packed.size() - 1),
          packed.substr(0, 1), packed.substr(0, 12), text})
        CHECK_FALSE(decode_every_way("gzip", bad).error.empty());
    CHECK_THAT(decode_every_way("gzip", packed.substr(0, 20)).error, Catch::Contains("cut off"));
    CHECK_THAT(decode_every_way("deflate", "x").error, Catch::Contains("cut off"));
    CHECK_THAT(decode_every_way("gzip", text).error, Catch::Contains("not what content-encoding"));
    std::string wrong_sum = packed;
    wrong_sum[packed.size() - 6] = static_cast<char>(wrong_sum[packed.size() - 6] ^ 1);
    CHECK_FALSE(decode_every_way("gzip", wrong_sum).error.empty());
}

TEST_CASE("coding: a large body passes through little room", "[http_coding]") {
    std::string large;
    for (int i = 0; large.size() < 300'000; ++i) large += std::to_string(i * 7919) + ' ';
    const std::string twice = gzipped(gzipped(large));
    for (const std::size_t room : {1000U, 65536U, 1'000'000U})
        CHECK(decode("gzip, gzip", {twice}, room).plain == large);
}

TEST_CASE("coding: bombs end at the ratio, the bytes and the number of codings", "[http_coding]") {
    const std::string zeros = gzipped(std::string(4'000'000, '\0'));
    coding_limits bounds;
    bounds.ratio_from = 100'000;
    const auto bomb = decode("gzip", {zeros}, 65536, bounds);
    CHECK_THAT(bomb.error, Catch::Contains("more than 250 times its size"));
    CHECK(bomb.plain.size() <= 4'000'000);
    // Most of this one is between the codings: little comes out of the second.
    CHECK_THAT(decode("gzip, gzip", {gzipped(zeros)}, 1, bounds).error,
               Catch::Contains("times its size"));
    bounds = coding_limits();
    bounds.bytes = 100;
    CHECK(decode("gzip", {gzipped(std::string(100, 'x'))}, 64, bounds).error == "");
    CHECK_THAT(decode("gzip", {gzipped(std::string(101, 'x'))}, 64, bounds).error,
               Catch::Contains("longer than 100 bytes"));
    CHECK(decode("gzip,gzip,gzip,gzip", {gzipped(gzipped(gzipped(gzipped("x"))))}, 9).plain == "x");
    CHECK_THAT(decode("gzip,gzip,gzip,gzip,gzip", {""}, 9).error, Catch::Contains("too many"));
}
#endif

#ifdef RONDO_WITH_ZSTD
TEST_CASE("coding: zstd with all its frames", "[http_coding]") {
    const std::string packed = zstd(text);
    CHECK(decode_every_way("zstd", packed) == decoded{text, ""});
    CHECK(decode_every_way("zstd", packed + packed).plain == text + text);
    CHECK(decode_every_way("zstd", "") == decoded{"", ""});
    CHECK_THAT(decode_every_way("zstd", packed.substr(0, 20)).error, Catch::Contains("cut off"));
    CHECK_FALSE(decode_every_way("zstd", packed + "x").error.empty());
    CHECK_FALSE(decode_every_way("zstd", text).error.empty());
    const std::string skipped("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);  // a frame without content
    CHECK(decode_every_way("zstd", skipped + packed).plain == text);
    // A window of 64 MiB, which the head of the frame asks for.
    const std::string wide("\x28\xb5\x2f\xfd\x00\x80\x01\x00\x00", 9);
    CHECK_FALSE(decode_every_way("zstd", wide).error.empty());
}

TEST_CASE("coding: a frame of zstd has as many bytes as its head says", "[http_coding]") {
    const std::string none_of_128("\x28\xb5\x2f\xfd\x30\x80\x01\x00\x00", 9);
    CHECK_FALSE(decode_every_way("zstd", none_of_128).error.empty());
    CHECK_FALSE(decode_every_way("zstd", zstd(text) + none_of_128).error.empty());
    const std::string none_of_0("\x28\xb5\x2f\xfd\x30\x00\x01\x00\x00", 9);
    CHECK(decode_every_way("zstd", none_of_0 + zstd(text)).plain == text);
    // The outcome of a last block without bytes does not depend on the cuts.
    const std::string empty_block("\x28\xb5\x2f\xfd\x30\x00\x05\x00\x00", 9);
    CHECK(decode_every_way("zstd", empty_block).plain.empty());
}
#endif

#ifdef RONDO_WITH_BROTLI
TEST_CASE("coding: br, and its bombs", "[http_coding]") {
    CHECK(decode_every_way("br", brotli_text) == decoded{text, ""});
    CHECK(decode_every_way("br", "") == decoded{"", ""});
    CHECK_THAT(decode_every_way("br", brotli_text.substr(0, 20)).error, Catch::Contains("cut off"));
    CHECK_FALSE(decode_every_way("br", brotli_text + "x").error.empty());
    CHECK_FALSE(decode_every_way("br", "\xff\xff\xff\xff").error.empty());
    coding_limits bounds;
    bounds.ratio_from = 100'000;
    CHECK_THAT(decode("br", {brotli_zeros}, 4096, bounds).error, Catch::Contains("times its size"));
    CHECK(decode("br", {brotli_zeros}, 4096).plain.size() == std::size_t{4} << 20);
}
#endif

TEST_CASE("coding: accept-encoding names what is built in", "[http_coding]") {
    for (const std::string_view name : http::split_list(http::accept_encoding()))
        CHECK_FALSE(content_decoder(name).has_failed());
#if defined(RONDO_WITH_ZLIB) && defined(RONDO_WITH_BROTLI) && defined(RONDO_WITH_ZSTD)
    CHECK(http::accept_encoding() == "gzip, deflate, br, zstd");
#endif
}
