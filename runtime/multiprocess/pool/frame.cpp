// SPDX-License-Identifier: MIT
// Packs and checks frames between a process_pool and its workers.
#include "multiprocess/pool/frame.hpp"

#include <bit>
#include <cstddef>
#include <cstring>

namespace rondo {
inline namespace v0 {
namespace detail {

frame_error::~frame_error() = default;

namespace {

constexpr std::uint32_t frame_magic = 0x726f6e64;
constexpr std::uint64_t seal_seed = 0x9e3779b97f4a7c15;

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t word_at(const char* bytes, std::size_t size) noexcept {
    std::uint64_t word = 0;
    if (size != 0) std::memcpy(&word, bytes, size);  // an empty view may have a null address
    return word;
}

std::uint64_t seal_of(frame_head head, std::string_view body) noexcept {
    head.seal = 0;
    const auto bytes = std::bit_cast<head_bytes>(head);
    return hash_of(body, hash_of({bytes.data(), bytes.size()}, seal_seed));
}

}  // namespace

std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed) noexcept {
    constexpr std::uint64_t first = 0xa0761d6478bd642f;
    constexpr std::uint64_t second = 0xe7037ed1a0b428db;
    std::uint64_t hash = mixed(seed ^ first, bytes.size() ^ second);
    while (bytes.size() >= 16) {
        hash = mixed(word_at(bytes.data(), 8) ^ second, word_at(bytes.data() + 8, 8) ^ hash);
        bytes.remove_prefix(16);
    }
    const std::size_t half = bytes.size() < 8 ? bytes.size() : 8;
    const std::uint64_t last = word_at(bytes.data(), half);
    hash = mixed(last ^ second, word_at(bytes.data() + half, bytes.size() - half) ^ hash);
    return mixed(hash ^ first, hash ^ second);
}

head_bytes pack_head(frame_kind kind, std::uint64_t job, std::string_view body) noexcept {
    frame_head head{frame_magic, kind, 0, job, body.size(), 0};
    head.seal = seal_of(head, body);
    return std::bit_cast<head_bytes>(head);
}

frame_head parse_head(const head_bytes& bytes, std::uint64_t size_max) {
    const auto head = std::bit_cast<frame_head>(bytes);
    if (head.magic != frame_magic || head.zero != 0)
        throw frame_error("the received bytes are not a frame");
    if (head.kind < frame_kind::start || head.kind > frame_kind::trouble)
        throw frame_error("a frame has an unknown kind");
    if (head.size > size_max)
        throw frame_error("a frame has " + std::to_string(head.size) + " bytes, and at most " +
                          std::to_string(size_max) + " are allowed");
    return head;
}

void check_seal(const frame_head& head, std::string_view body) {
    if (body.size() != head.size || head.seal != seal_of(head, body))
        throw frame_error("a frame has a wrong seal");
}

void word_writer::number(std::uint64_t value) {
    into_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void word_writer::text(std::string_view value) {
    number(value.size());
    into_ += value;
}

std::uint64_t word_reader::number() {
    if (left_.size() < sizeof(std::uint64_t)) throw frame_error("a frame ends within a number");
    const std::uint64_t value = word_at(left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
}

std::string_view word_reader::text() {
    const std::uint64_t size = number();
    if (size > left_.size()) throw frame_error("a frame ends within a text");
    const std::string_view value = left_.substr(0, static_cast<std::size_t>(size));
    left_.remove_prefix(value.size());
    return value;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
