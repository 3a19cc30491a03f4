// SPDX-License-Identifier: MIT
// Replies out of received bytes. hiredis parses; the objects that it makes are ours, and so are the
// bounds: it would wait for a text of any size.
#pragma once

#include <hiredis/read.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include <rondo/redis/value.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class reply_reader {
public:
    /// A reply may have `bytes_max` bytes, of which each element counts for 64 at least.
    explicit reply_reader(std::size_t bytes_max);
    reply_reader(const reply_reader&) = delete;
    reply_reader& operator=(const reply_reader&) = delete;

    /// Bytes to feed at once. hiredis moves what is left after each kilobyte of small replies.
    static constexpr std::size_t piece = 8192;

    /// Adds bytes, after `next` has given all replies of those before.
    /// Throws: redis::protocol_error; std::bad_alloc.
    void feed(std::string_view bytes);
    /// Returns: the next whole reply; empty if more bytes are needed.
    /// Throws: redis::protocol_error, for a reply that is malformed or too large.
    std::optional<redis::value> next();

private:
    struct objects;
    struct freeing {
        void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
    };
    [[noreturn]] void throw_broken() const;
    void check_rest() const;

    static redisReplyObjectFunctions functions_;
    std::unique_ptr<redisReader, freeing> reader_;
    std::optional<redis::value> root_;
    const std::size_t bytes_max_;
    std::size_t left_;  // of bytes_max_, for the reply that is being read
    bool is_too_large_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
