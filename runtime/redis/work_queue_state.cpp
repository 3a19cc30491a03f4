// SPDX-License-Identifier: MIT
// Running the steps of a queue, and what the server says about itself.
#include "redis/work_queue_state.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <random>
#include <stdexcept>

#include <rondo/retry.hpp>

#include "redis/redis_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr duration reachable_in = 30s;
// A put is repeated for reachable_in. Its last attempt may wait for a connection, and for a reply.
constexpr duration remembered_at_least = 2min;
// A step that takes jobs gives up to 8 MiB, then 8 payloads more, and what belongs to them.
constexpr std::size_t reply_least = std::size_t{48} * 1024 * 1024;
static_assert(8 * work_queue::payload_max + 8 * 1024 * 1024 < reply_least);
constexpr int layout = 1;  // of the keys

void check_options(std::string_view queue, const work_queue_options& how) {
    if (queue.empty() || queue.size() > 200 || queue.find_first_of("{}") != std::string_view::npos)
        throw std::invalid_argument(
            "work_queue: a name has 1 to 200 bytes, and no { or } (the key's hash tag)");
    if (how.lease < 1s) throw std::invalid_argument("work_queue: a lease lasts at least 1 s");
    if (how.attempts == 0) throw std::invalid_argument("work_queue: at least one attempt");
    if (how.remember < remembered_at_least)
        throw std::invalid_argument(
            "work_queue: an id is remembered for at least 2 min, in which a put may be repeated");
    if (how.backoff.first < 0s || how.backoff.most < how.backoff.first)
        throw std::invalid_argument("work_queue: backoff is {first, most}, and not negative");
}

const char* name_of(durability which) noexcept {
    switch (which) {
        case durability::always: return "always";
        case durability::second: return "about a second";
        case durability::none: return "none";
        case durability::any: break;
    }
    return "unknown";
}

/// The word after "NAME:" in the reply of INFO.
std::string_view info_of(std::string_view all, std::string_view name) {
    const std::size_t at = all.find(name);
    if (at == std::string_view::npos) return {};
    all.remove_prefix(at + name.size());
    return all.substr(0, all.find_first_of("\r\n"));
}

durability durability_of(const redis::value& settings) {
    const auto is = [&](const char* name, const char* text) {
        const redis::value* const found = settings.find(name);
        return found != nullptr && *found == text;
    };
    if (settings.find("appendonly") == nullptr) return durability::any;
    const bool may_drop = !is("maxmemory", "0") && !is("maxmemory-policy", "noeviction");
    if (may_drop || !is("appendonly", "yes") || is("appendfsync", "no")) return durability::none;
    return is("appendfsync", "always") ? durability::always : durability::second;
}

}  // namespace

std::string random_digits() {
    std::random_device device;
    char text[17];
    std::snprintf(text, sizeof text, "%08x%08x", static_cast<unsigned>(device()),
                  static_cast<unsigned>(device()));
    return text;
}

std::string milliseconds_of(duration time) {
    return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(time).count());
}

bool is_passing(const redis::reply_error& error) noexcept {
    constexpr std::string_view passing[] = {"LOADING",    "BUSY",        "READONLY",
                                            "MISCONF",    "OOM",         "TRYAGAIN",
                                            "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS"};
    return std::find(std::begin(passing), std::end(passing), error.code()) != std::end(passing);
}

work_queue_state::work_queue_state(redis::client to, std::string queue, work_queue_options how)
    : client(std::move(to)),
      name(std::move(queue)),
      prefix("rondo:{" + name + "}:"),
      options((check_options(name, how), how)),
      remember(milliseconds_of(how.remember)) {
    if (client.state().options().reply_bytes < reply_least)
        throw std::invalid_argument(
            "work_queue: its client needs a client_options::reply_bytes of 48 MiB or more");
    for (const char* each : {"jobs", "later", "dead", "dead:ids", "facts"})
        keys.push_back(prefix + each);
}

task<redis::value> work_queue_state::run_with(work_step step, work_words arguments,
                                              work_words markers) {
    std::string& hash = hashes[static_cast<std::size_t>(step)];
    const std::size_t count = keys.size() + markers.size();
    bool made_group = false, loaded = false;
    for (;;) {
        if (hash.empty()) {
            redis::value loading = co_await client.command("SCRIPT LOAD", script_of(step));
            hash = std::move(loading).text();
        }
        try {
            co_return co_await client.command("EVALSHA", hash, count, keys, markers, arguments);
        } catch (const redis::reply_error& error) {
            // The server has forgotten: it was started again, or its data are gone.
            const bool is_script = error.code() == "NOSCRIPT" && !std::exchange(loaded, true);
            const bool is_group = error.code() == "NOGROUP" && !std::exchange(made_group, true);
            if (!is_script && !is_group) throw;
            if (is_script) hash.clear();
        }
        if (made_group) co_await make_group();
    }
}

namespace {

/// Repeats what may be repeated.
class repetition {
public:
    /// While an error is handled: rethrows it if it is not to be repeated.
    void failed() {
        if (running_loop().time() >= give_up_) throw;
        try {
            throw;
        } catch (const redis::connection_lost&) {
        } catch (const redis::reply_error& error) {
            if (!is_passing(error)) throw;
        }
    }
    sleeping pause() { return sleep(delays_.next_delay()); }

private:
    const time_point give_up_ = running_loop().time() + reachable_in;
    retry_state delays_ = retry_state({.attempts = 0, .delay = 10ms, .longest = 1s});
};

}  // namespace

task<redis::value> work_queue_state::run_surely(work_step step, work_words arguments,
                                                work_words markers) {
    repetition again;
    for (;;) {
        try {
            co_return co_await run_with(step, arguments, markers);
        } catch (const redis::error&) {
            again.failed();
        }
        co_await again.pause();
    }
}

task<> work_queue_state::prepare() {
    repetition again;
    for (;;) {
        try {
            co_await look_at_server();
            co_await make_queue();
            co_return;
        } catch (const redis::error&) {
            again.failed();
        }
        co_await again.pause();
    }
}

task<> work_queue_state::make_group() {
    try {
        co_await client.command("XGROUP CREATE", jobs_key(), work_group, 0, "MKSTREAM");
    } catch (const redis::reply_error& error) {
        if (error.code() != "BUSYGROUP") throw;  // it is there
    }
}

task<> work_queue_state::look_at_server() {
    try {
        const redis::value info = co_await client.command("INFO", "server");
        const std::string_view version = info_of(info.text(), "redis_version:");
        int major = 0;
        std::from_chars(version.data(), version.data() + version.size(), major);
        if (!version.empty() && major < 7)
            throw error("work_queue " + name + ": it needs Redis 7 or later, and this is " +
                        std::string(version));
        const redis::value settings = co_await client.command(
            "CONFIG GET", "appendonly", "appendfsync", "maxmemory", "maxmemory-policy");
        found = durability_of(settings);
    } catch (const redis::reply_error& error) {  // the server does not tell it to this user
        if (is_passing(error)) throw;
    }
    if (options.require > found)
        throw error("work_queue " + name + ": the durability of " + std::string(client.name()) +
                    " is " + name_of(found) + ", and " + name_of(options.require) +
                    " is required: see appendonly, appendfsync and maxmemory-policy in redis.conf");
}

task<> work_queue_state::make_queue() {
    co_await make_group();
    co_await client.command("HSETNX", facts_key(), "layout", layout);
    const redis::value known = co_await client.command("HGET", facts_key(), "layout");
    if (known.number() != layout)
        throw error("work_queue " + name + ": a newer version of rondo has made it");
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
