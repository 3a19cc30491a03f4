// SPDX-License-Identifier: MIT
// Replies of a Redis server, as values that outlive hiredis' own objects.
#pragma once

#include <hiredis/hiredis.h>
#include <strings.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

/// An error reply of the server, or an error of the connection from hiredis.
struct redis_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A copy of a reply: nil, a text (strings and states), a number, or a list of replies.
class redis_value {
public:
    explicit redis_value(const redisReply& reply) : kind(reply.type), number(reply.integer) {
        if (reply.str != nullptr) text.assign(reply.str, static_cast<std::size_t>(reply.len));
        for (std::size_t i = 0; i < reply.elements; ++i) list.emplace_back(*reply.element[i]);
    }
    bool is_nil() const noexcept { return kind == REDIS_REPLY_NIL; }

    int kind;  // REDIS_REPLY_...
    std::int64_t number;
    std::string text;
    std::vector<redis_value> list;
};

/// True if a command has one reply; commands that subscribe have any number.
inline bool has_one_reply(const std::vector<std::string>& words) {
    for (const char* name : {"subscribe", "psubscribe", "unsubscribe", "punsubscribe", "monitor"})
        if (words.empty() || ::strcasecmp(words[0].c_str(), name) == 0) return false;
    return true;
}
