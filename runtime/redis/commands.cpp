// SPDX-License-Identifier: MIT
// Commands that need a connection of their own, and those that none may have.
#include <algorithm>
#include <array>

#include "redis/redis_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::array<std::string_view, 8> blocking = {
    "BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN"};

struct refusal {
    std::string_view name;
    std::string_view second;  // word; empty: any
    const char* why;
};
constexpr const char* no_messages = "the client does not receive published messages";
constexpr const char* no_transactions =
    "commands of other tasks would get into the transaction: put the steps into a script, which "
    "EVAL runs as one";
constexpr const char* in_url = "it would change the connection of all tasks: put it into the URL";
constexpr const char* of_all = "it would change the connection of all tasks";
constexpr const char* breaks = "it would change the protocol of the connection";
constexpr const char* unasked =
    "the server would send the commands of all clients, and no task waits for them: redis-cli can";
// On a connection of its own it would count no write, and tell success.
constexpr const char* waits_for_replicas =
    "it counts the writes of its own connection, and would hold up all tasks there: writes that "
    "must reach replicas are refused by the server if min-replicas-to-write is set";
constexpr refusal refusals[] = {
    {"SUBSCRIBE", "", no_messages},     {"PSUBSCRIBE", "", no_messages},
    {"SSUBSCRIBE", "", no_messages},    {"UNSUBSCRIBE", "", no_messages},
    {"PUNSUBSCRIBE", "", no_messages},  {"SUNSUBSCRIBE", "", no_messages},
    {"MULTI", "", no_transactions},     {"EXEC", "", no_transactions},
    {"DISCARD", "", no_transactions},   {"WATCH", "", no_transactions},
    {"UNWATCH", "", no_transactions},   {"SELECT", "", in_url},
    {"AUTH", "", in_url},               {"HELLO", "", breaks},
    {"RESET", "", breaks},              {"QUIT", "", "use client.close()"},
    {"MONITOR", "", unasked},           {"SYNC", "", breaks},
    {"PSYNC", "", breaks},              {"REPLCONF", "", breaks},
    {"CLIENT", "REPLY", breaks},        {"CLIENT", "TRACKING", breaks},
    {"CLIENT", "CACHING", breaks},      {"CLIENT", "NO-TOUCH", of_all},
    {"READONLY", "", of_all},           {"READWRITE", "", of_all},
    {"ASKING", "", of_all},             {"WAIT", "", waits_for_replicas},
    {"WAITAOF", "", waits_for_replicas},
};

bool same_word(std::string_view a, std::string_view capital) noexcept {
    return std::equal(a.begin(), a.end(), capital.begin(), capital.end(), [](char x, char y) {
        return ('a' <= x && x <= 'z' ? static_cast<char>(x - 32) : x) == y;
    });
}

}  // namespace

bool blocks_connection(const redis_words& command) {
    const std::string_view name = command.name();
    if (std::find(blocking.begin(), blocking.end(), name) != blocking.end()) return true;
    if (name != "XREAD" && name != "XREADGROUP") return false;
    for (std::size_t i = 1; i < command.count(); ++i) {
        if (same_word(command.word(i), "BLOCK")) return true;
        if (same_word(command.word(i), "STREAMS")) return false;
        if (same_word(command.word(i), "GROUP")) i += 2;  // names, which may be such words
    }
    return false;
}

void check_shareable(const redis_words& command) {
    for (const refusal& each : refusals)
        if (each.name == command.name() &&
            (each.second.empty() || same_word(command.word(1), each.second)))
            throw redis::error(std::string(command.name()) + " is not sent: " + each.why);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
