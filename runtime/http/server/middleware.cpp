// SPDX-License-Identifier: MIT
// Middleware about who asks: other origins, users, addresses that ask too often.
#include <rondo/http/middleware.hpp>

#include <algorithm>
#include <cmath>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include <rondo/loop.hpp>

#include "http/ascii.hpp"
#include "http/server/server.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

// -- cors ----------------------------------------------------------------------------------------
struct cors_rules {
    explicit cors_rules(const cors_options& options)
        : origins(options.origins),
          methods(options.methods),
          headers(options.headers),
          credentials(options.credentials),
          max_age(options.max_age) {}

    std::string origins, methods, headers;
    bool credentials;
    duration max_age;

    bool allows(std::string_view origin) const {
        const auto list = split_list(origins);
        return std::find(list.begin(), list.end(), origin) != list.end();
    }
};

void add_vary(reply& to, std::string_view name) {
    if (!to.headers().has_token("vary", name)) to.headers().add("vary", name);
}

/// The fields of every reply to a page of another origin.
void add_origin(reply& to, const cors_rules& rules, std::string_view origin) {
    if (rules.origins != "*") add_vary(to, "origin");
    if (rules.origins != "*" && !rules.allows(origin)) return;
    to.header("access-control-allow-origin", rules.origins == "*" ? "*" : origin);
    if (rules.credentials) to.header("access-control-allow-credentials", "true");
}

/// The reply of the handler, also one that it throws: pages of other origins may read both.
task<reply> returned_or_thrown(http::request& to, next_handler next) {
    int status = 0;
    std::string text;
    try {
        co_return co_await next(to);
    } catch (const reply_error& meant) {
        status = meant.status();
        text = meant.what();
    }
    text += '\n';
    co_return reply::text(std::move(text), status);
}

task<reply> answer_cors(std::shared_ptr<const cors_rules> rules, http::request& to,
                        next_handler next) {
    const std::string origin(to.header("origin").value_or(""));
    const auto method = to.header("access-control-request-method");
    if (origin.empty() || to.method() != "OPTIONS" || !method) {
        reply made = co_await returned_or_thrown(to, next);
        if (!origin.empty() || rules->origins != "*") add_origin(made, *rules, origin);
        co_return made;
    }
    reply made = reply::status(204);
    add_origin(made, *rules, origin);
    made.header("access-control-allow-methods", rules->methods);
    const std::string_view asked = to.header("access-control-request-headers").value_or("");
    const std::string_view allowed = rules->headers.empty() ? asked : rules->headers;
    if (!allowed.empty()) made.header("access-control-allow-headers", allowed);
    add_vary(made, "access-control-request-headers");
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rules->max_age).count();
    made.header("access-control-max-age", std::to_string(seconds));
    co_return made;
}

// -- basic_auth ----------------------------------------------------------------------------------
/// The value of a character of base64, or -1.
int base64_value(char c) noexcept {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (ascii::is_digit(c)) return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

/// Returns: nothing for a text that is not base64.
std::optional<std::string> from_base64(std::string_view text) {
    while (text.ends_with('=')) text.remove_suffix(1);
    std::string bytes;
    unsigned kept = 0, bits = 0;
    for (const char c : text) {
        const int value = base64_value(c);
        if (value < 0) return std::nullopt;
        kept = (kept << 6 | static_cast<unsigned>(value)) & 0xffff;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        bytes += static_cast<char>(kept >> bits & 0xff);
    }
    return bytes;
}

/// User and password of "Basic dXNlcjpwYXNz".
std::optional<std::pair<std::string, std::string>> read_basic_credentials(std::string_view value) {
    const std::size_t space = std::min(value.find(' '), value.size());
    if (!same_word(value.substr(0, space), "basic")) return std::nullopt;
    const auto text = from_base64(ascii::trimmed(value.substr(space)));
    const std::size_t colon = text ? text->find(':') : std::string::npos;
    if (colon == std::string::npos) return std::nullopt;
    return std::pair(text->substr(0, colon), text->substr(colon + 1));
}

using check_of_user = rondo::detail::function<bool(std::string_view, std::string_view)>;

struct auth_rules {
    std::string challenge;
    mutable check_of_user check;
};

task<reply> ask_for_user(std::shared_ptr<const auth_rules> rules, http::request& to,
                         next_handler next) {
    if (const auto user = read_basic_credentials(to.header("authorization").value_or(""))) {
        const auto& [name, password] = *user;
        if (rules->check(name, password)) {
            to.set_user(name);
            co_return co_await next(to);
        }
    }
    reply made = reply::status(401);
    made.header("www-authenticate", rules->challenge);
    co_return made;
}

/// Takes the same time for every `given` of one length.
bool equal_in_constant_time(std::string_view given, std::string_view wanted) {
    unsigned differs = given.size() == wanted.size() ? 0 : 1;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const char other = wanted.empty() ? '\0' : wanted[i % wanted.size()];
        differs |= static_cast<unsigned>(static_cast<unsigned char>(given[i] ^ other));
    }
    return differs == 0;
}

// -- rate_limit ----------------------------------------------------------------------------------
/// A bucket for each address, refilled with time. The one that was used longest ago is forgotten
/// first. Several loops may share it.
class buckets {
public:
    explicit buckets(const rate_limit_options& options) : options_(options) {}

    /// Takes a token. Returns: zero, or the time until there is one.
    duration take(const std::string& address, time_point now) {
        const std::lock_guard<std::mutex> lock(mutex_);
        bucket& of = find(address, now);
        const double seconds = std::chrono::duration<double>(now - of.filled).count();
        of.tokens = std::min(static_cast<double>(options_.burst),
                             of.tokens + std::max(seconds, 0.0) * options_.per_second);
        of.filled = now;
        if (of.tokens >= 1) {
            of.tokens -= 1;
            return duration::zero();
        }
        const double wait = (1 - of.tokens) / options_.per_second;
        return std::chrono::duration_cast<duration>(std::chrono::duration<double>(wait));
    }

private:
    struct bucket {
        std::string address;
        double tokens;
        time_point filled;
    };
    bucket& find(const std::string& address, time_point now) {
        if (const auto known = places_.find(address); known != places_.end()) {
            order_.splice(order_.begin(), order_, known->second);
            return order_.front();
        }
        if (order_.size() >= options_.addresses) {
            places_.erase(order_.back().address);
            order_.pop_back();
        }
        order_.push_front({address, static_cast<double>(options_.burst), now});
        places_.emplace(address, order_.begin());
        return order_.front();
    }

    rate_limit_options options_;
    std::mutex mutex_;
    std::list<bucket> order_;  // the one that was used last is the first
    std::unordered_map<std::string, std::list<bucket>::iterator> places_;
};

task<reply> slow_down(std::shared_ptr<buckets> all, http::request& to, next_handler next) {
    const duration wait = all->take(rondo::detail::network_of(to.remote()), running_loop().time());
    if (wait == duration::zero()) co_return co_await next(to);
    reply made = reply::status(429);
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    made.header("retry-after", std::to_string(seconds));
    co_return made;
}

}  // namespace

middleware cors(cors_options options) {
    if (options.credentials && options.origins == "*")
        throw error("cors: credentials need a list of origins, since \"*\" would mean every page");
    for (const std::string_view text : {options.origins, options.methods, options.headers})
        if (!is_field_value(text)) throw error("cors: an option has a control character");
    return [rules = std::make_shared<const cors_rules>(options)](
               http::request& to, next_handler next) { return answer_cors(rules, to, next); };
}

middleware basic_auth(std::string_view realm, check_of_user check) {
    auto rules = std::make_shared<auth_rules>();
    rules->challenge = "Basic realm=" + quoted(std::string(realm) + ' ');
    rules->challenge.erase(rules->challenge.size() - 2, 1);  // always quoted: browsers want that
    rules->challenge += ", charset=\"UTF-8\"";
    rules->check = std::move(check);
    return [rules = std::shared_ptr<const auth_rules>(std::move(rules))](
               http::request& to, next_handler next) { return ask_for_user(rules, to, next); };
}

middleware basic_auth(std::string_view realm, std::string_view user, std::string_view password) {
    return basic_auth(realm, [user = std::string(user), password = std::string(password)](
                                 std::string_view name, std::string_view word) {
        const bool is_user = equal_in_constant_time(name, user);
        const bool is_word = equal_in_constant_time(word, password);
        return is_user && is_word;
    });
}

middleware rate_limit(rate_limit_options options) {
    if (!(options.per_second > 0) || options.burst == 0 || options.addresses == 0)
        throw error("rate_limit: the numbers must be greater than zero");
    return [all = std::make_shared<buckets>(options)](
               http::request& to, next_handler next) { return slow_down(all, to, next); };
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
