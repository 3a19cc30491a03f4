// SPDX-License-Identifier: MIT
// Credentials of requests.
#include "http/client/authorization.hpp"

#include <rondo/file_system.hpp>

#include "http/client/random.hpp"
#include "http/client/session_state.hpp"
#include "http/netrc.hpp"
#include "tls/hash.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::size_t netrc_bytes_max = std::size_t{1} << 20;

std::string hash_by_openssl(http::hash_kind kind, std::string_view bytes) {
    return kind == http::hash_kind::md5 ? md5_text(bytes) : sha256_text(bytes);
}

}  // namespace

digest_book::entry* digest_book::find(const std::string& key) noexcept {
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : &found->second;
}

void digest_book::put(const std::string& key, http::digest_answer answer) {
    if (entries_.size() >= entries_max && entries_.find(key) == entries_.end())
        entries_.erase(entries_.begin());  // it costs its next request a challenge
    entries_.insert_or_assign(key, entry{std::move(answer), random_text(), 0});
}

task<> http_authorization::find_user(const http::url& where) {
    if (where.has_user()) {
        basic_ = http::basic_credentials(where.user(), where.password());
        co_return;
    }
    netrc_file& netrc = session_.netrc;
    if (netrc.path.empty() || request_.digest_user) co_return;
    if (!netrc.text) netrc.text = co_await read_file(netrc.path, netrc_bytes_max);
    const auto found = http::netrc_lookup(*netrc.text, where.host());
    if (found) basic_ = http::basic_credentials(found->user, found->password);
}

std::string http_authorization::key(const http::url& where) const {
    return where.origin() + ' ' + *request_.digest_user + ' ' + request_.digest_password;
}

std::string http_authorization::credentials(const http::url& where, std::string_view method) {
    if (!request_.digest_user) return basic_;
    digest_book::entry* const known = session_.digests.find(key(where));
    if (known == nullptr) return {};
    return known->answer.credentials(*request_.digest_user, request_.digest_password, method,
                                     where.target(), known->cnonce, ++known->count,
                                     hash_by_openssl);
}

bool http_authorization::wants_challenge(const http::url& where) const {
    return request_.digest_user && session_.digests.find(key(where)) == nullptr;
}

bool http_authorization::take_challenge(const http::url& where, const http::fields& headers) {
    if (!request_.digest_user) return false;
    std::vector<http::challenge> all;
    for (const std::string_view value : headers.get_all("www-authenticate"))
        for (auto& each : http::parse_challenges(value)) all.push_back(std::move(each));
    auto answer = http::digest_answer::choose(all);
    // The server has refused the answer to its own challenge: the user or the password is wrong.
    const bool is_refused = has_answered_ && (!answer || !answer->is_stale() || was_stale_);
    if (!answer || is_refused) {
        session_.digests.erase(key(where));
        return false;
    }
    was_stale_ = has_answered_;
    has_answered_ = true;
    session_.digests.put(key(where), *std::move(answer));
    return true;
}

void http_authorization::take_next_nonce(const http::url& where, const http::fields& headers) {
    if (!request_.digest_user || !headers.contains("authentication-info")) return;
    digest_book::entry* const known = session_.digests.find(key(where));
    const std::string info = "Digest " + headers.joined("authentication-info");
    for (const http::challenge& each : http::parse_challenges(info)) {
        const auto next = each.get("nextnonce");
        if (known != nullptr && next && known->answer.set_nonce(*next)) known->count = 0;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
