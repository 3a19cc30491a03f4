// SPDX-License-Identifier: MIT
#include "http/auth.hpp"

#include <algorithm>
#include <initializer_list>

#include <rondo/http/fields.hpp>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

std::string base64(std::string_view bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto byte = [&](std::size_t k) -> unsigned {
            return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0;
        };
        const unsigned three = byte(0) << 16 | byte(1) << 8 | byte(2);
        result += digits[three >> 18];
        result += digits[three >> 12 & 63];
        result += i + 1 < bytes.size() ? digits[three >> 6 & 63] : '=';
        result += i + 2 < bytes.size() ? digits[three & 63] : '=';
    }
    return result;
}

std::string basic_credentials(std::string_view user, std::string_view password) {
    if (user.find(':') != std::string_view::npos)
        throw error("a user name of basic authentication cannot have a colon");
    return "Basic " + base64(std::string(user) + ':' + std::string(password));
}

std::string bearer_credentials(std::string_view token) {
    if (token.empty() || !std::all_of(token.begin(), token.end(), ascii::is_visible))
        throw error("a bearer token cannot have spaces or control characters");
    return "Bearer " + std::string(token);
}

std::optional<std::string_view> challenge::get(std::string_view name) const noexcept {
    for (const auto& [key, value] : parameters)
        if (same_word(key, name)) return value;
    return std::nullopt;
}

// `Digest realm="a", qop="auth", Basic realm="b"`: an element that begins with a word and a space,
// or has no '=', begins another challenge.
std::vector<challenge> parse_challenges(std::string_view value) {
    std::vector<challenge> all;
    for (std::string_view element : split_list(value)) {
        const auto space = element.find_first_of(" \t");
        const auto equals = std::min(element.find('='), element.size());
        if (space < equals || equals == element.size()) {
            all.push_back({std::string(element.substr(0, space)), {}});
            element = ascii::trimmed(element.substr(std::min(space, element.size())));
        }
        if (element.empty() || all.empty()) continue;
        const parameters one("x;" + std::string(element));  // name=value, quoted or not
        for (const auto& parameter : one.all()) all.back().parameters.push_back(parameter);
    }
    return all;
}

namespace {

/// "a:b:c".
std::string joined(std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const std::string_view part : parts) (text += part) += ':';
    text.pop_back();
    return text;
}

/// A quoted string, also of a token.
std::string in_quotes(std::string_view text) {
    const std::string result = quoted(text);
    return result.front() == '"' ? result : '"' + result + '"';
}

}  // namespace

std::optional<digest_answer> digest_answer::choose(const std::vector<challenge>& from) {
    std::optional<digest_answer> best;
    for (const challenge& each : from) {
        const std::string_view algorithm = each.get("algorithm").value_or("MD5");
        const bool is_sha = same_word(algorithm, "SHA-256") || same_word(algorithm, "SHA-256-sess");
        const bool is_md5 = same_word(algorithm, "MD5") || same_word(algorithm, "MD5-sess");
        const auto qop = each.get("qop");
        const auto choices = split_list(qop.value_or(""));
        const bool has_auth = std::any_of(choices.begin(), choices.end(),
                                          [](auto choice) { return same_word(choice, "auth"); });
        if (!same_word(each.scheme, "Digest") || !(is_sha || is_md5) || (qop && !has_auth) ||
            !each.get("realm") || !each.get("nonce"))
            continue;
        if (best && !(is_sha && best->kind_ == hash_kind::md5)) continue;
        best.emplace();
        best->realm_ = *each.get("realm");
        best->nonce_ = *each.get("nonce");
        best->has_opaque_ = each.get("opaque").has_value();
        best->opaque_ = each.get("opaque").value_or("");
        best->algorithm_ = each.get("algorithm").value_or("");
        best->kind_ = is_sha ? hash_kind::sha256 : hash_kind::md5;
        best->is_session_ = algorithm.size() == 8 || algorithm.size() == 12;  // "MD5-sess"
        best->has_qop_ = has_auth;
        best->is_stale_ = same_word(each.get("stale").value_or(""), "true");
    }
    return best;
}

bool digest_answer::set_nonce(std::string_view nonce) {
    if (!is_session_) nonce_ = nonce;
    return !is_session_;
}

std::string digest_answer::credentials(std::string_view user, std::string_view password,
                                       std::string_view method, std::string_view target,
                                       std::string_view cnonce, std::uint32_t count,
                                       hash_function hash) const {
    std::string nc(8, '0');
    for (std::size_t i = 8; i-- > 0; count >>= 4) nc[i] = "0123456789abcdef"[count & 15];
    std::string secret = hash(kind_, joined({user, realm_, password}));
    if (is_session_) secret = hash(kind_, joined({secret, nonce_, cnonce}));
    const std::string what = hash(kind_, joined({method, target}));
    const std::string response =
        has_qop_ ? hash(kind_, joined({secret, nonce_, nc, cnonce, "auth", what}))
                 : hash(kind_, joined({secret, nonce_, what}));
    std::string text = "Digest username=" + in_quotes(user) + ", realm=" + in_quotes(realm_) +
                       ", nonce=" + in_quotes(nonce_) + ", uri=" + in_quotes(target) +
                       ", response=\"" + response + '"';
    if (!algorithm_.empty()) text += ", algorithm=" + quoted(algorithm_);
    if (has_opaque_) text += ", opaque=" + in_quotes(opaque_);
    if (has_qop_) text += ", qop=auth, nc=" + nc;
    if (has_qop_ || is_session_) text += ", cnonce=" + in_quotes(cnonce);
    return text;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
