// SPDX-License-Identifier: MIT
// Frames between a process_pool and its workers: a head of 32 bytes, then a body of `size` bytes.
//
//     magic  kind  0  job  size  seal
//       4     2    2   8    8     8
//
// The seal is a hash of everything else. Foreign bytes in between (from a job that writes to
// descriptors that are not its own, or a program that is not a worker) therefore only cause an
// error. No function is looked up and no argument is read before the seal is checked, and no size
// is trusted: memory is allocated as bytes come in. The seal is not a signature: any process that
// can write to the socket runs as this user.
//
// The parent sends `start` first; the worker calls the initializer and answers `ready` or `failed`.
// Then each `call` has one answer: `value`, `failed`, or `missing` if the worker lacks the
// function's module. A worker that receives something it cannot understand sends `trouble` and
// exits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

enum class frame_kind : std::uint16_t { start = 1, ready, call, value, failed, missing, trouble };

struct frame_head {
    std::uint32_t magic;
    frame_kind kind;
    std::uint16_t zero;
    std::uint64_t job;   // the answer to a call has its number
    std::uint64_t size;  // of the body
    std::uint64_t seal;
};
static_assert(sizeof(frame_head) == 32);

/// A body is read in steps of this many bytes, since its size may be wrong.
inline constexpr std::size_t body_step = 1024 * 1024;

using head_bytes = std::array<char, sizeof(frame_head)>;

/// The received bytes are not a valid frame.
class frame_error : public error {
public:
    using error::error;
    ~frame_error() override;
};

head_bytes pack_head(frame_kind kind, std::uint64_t job, std::string_view body) noexcept;
/// Throws: frame_error, also for a body of more than `size_max` bytes.
frame_head parse_head(const head_bytes& bytes, std::uint64_t size_max);
/// Throws: frame_error if the body was not sent with this head.
void check_seal(const frame_head& head, std::string_view body);

/// Hashes eight bytes at a time. Fast, and equal in every process of this machine.
std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed) noexcept;

/// Appends numbers and texts to a string.
class word_writer {
public:
    explicit word_writer(std::string& into) noexcept : into_(into) {}
    void number(std::uint64_t value);
    void text(std::string_view value);

private:
    std::string& into_;
};

/// Reads numbers and texts back.
/// Throws: frame_error if too few bytes are left.
class word_reader {
public:
    explicit word_reader(std::string_view from) noexcept : left_(from) {}
    std::uint64_t number();
    std::string_view text();  // refers to the bytes that are read
    std::string_view rest() const noexcept { return left_; }

private:
    std::string_view left_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
