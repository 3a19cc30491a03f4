// SPDX-License-Identifier: MIT
// What a process_pool and its workers say to each other: a head of 32 bytes, then as many bytes as it says.
//
//     magic  kind  0  job  size  seal
//       4     2    2   8    8     8
//
// The seal is a hash of everything else. Whatever comes in between (a job that writes to numbers that are not its own,
// a program that is no worker) is an error and nothing worse: no size is believed, no function is looked up, no
// argument read before the seal was found right. It is no signature: who can write to the socket on purpose is this
// very user.
//
// The parent begins with `start`; the worker calls the initializer and says `ready` or `failed`. Then each `call` has
// one answer: `value`, `failed`, or `missing` where the worker lacks the function's module. `trouble` is the last word
// of a worker that was sent what it cannot understand.
#pragma once

#include <array>
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
    std::uint64_t size;  // of what follows
    std::uint64_t seal;
};
static_assert(sizeof(frame_head) == 32);

using head_bytes = std::array<char, sizeof(frame_head)>;

/// What came is no frame.
class frame_error : public error {
public:
    using error::error;
    ~frame_error() override;
};

head_bytes pack_head(frame_kind kind, std::uint64_t job, std::string_view body) noexcept;
/// Throws: frame_error, also for a body of more than `size_max` bytes.
frame_head parse_head(const head_bytes& bytes, std::uint64_t size_max);
/// Throws: frame_error where the body is not what was sent with this head.
void check_seal(const frame_head& head, std::string_view body);

/// Eight bytes at a time; fast, and equal in every process of this machine.
std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed) noexcept;

/// Numbers and texts, one after the other.
class word_writer {
public:
    explicit word_writer(std::string& into) noexcept : into_(into) {}
    void number(std::uint64_t value);
    void text(std::string_view value);

private:
    std::string& into_;
};

/// Throws: frame_error where there is less than is asked for.
class word_reader {
public:
    explicit word_reader(std::string_view from) noexcept : left_(from) {}
    std::uint64_t number();
    std::string_view text();  // a part of what is read from
    std::string_view rest() const noexcept { return left_; }

private:
    std::string_view left_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
