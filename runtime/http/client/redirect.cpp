// SPDX-License-Identifier: MIT
// Rules of redirects, repetitions and base URLs.
#include "http/client/redirect.hpp"

#include <algorithm>
#include <iterator>

#include <rondo/http/fields.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

bool is_redirect(int status) noexcept {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

redirect redirect_of(std::string_view method, const url& from, int status,
                     std::string_view location) {
    redirect next;
    next.where = from.resolve(location);
    next.method = method;
    if (!next.where.is_http())
        throw redirect_error("a redirect to " + std::string(next.where.scheme()) +
                                 ": is not followed",
                             method, from.text());
    if (from.is_secure() && !next.where.is_secure())
        throw redirect_error("a redirect from https to http is not followed", method, from.text());
    if (status == 307 || status == 308) return next;
    next.drops_body = true;
    if (method != "HEAD") next.method = "GET";
    return next;
}

bool may_cross_origins(std::string_view name) noexcept {
    static constexpr std::string_view allowed[] = {
        "accept",        "accept-encoding",   "accept-language", "cache-control",
        "content-type",  "content-encoding",  "content-language", "if-modified-since",
        "if-none-match", "if-range",          "range",            "user-agent"};
    return std::any_of(std::begin(allowed), std::end(allowed),
                       [&](std::string_view each) { return same_word(each, name); });
}

bool is_idempotent(std::string_view method) noexcept {
    static constexpr std::string_view known[] = {"GET",     "HEAD",  "PUT",
                                                 "OPTIONS", "TRACE", "DELETE"};
    return std::find(std::begin(known), std::end(known), method) != std::end(known);
}

bool is_worth_a_retry(int status) noexcept {
    if (status == 408 || status == 425 || status == 429) return true;
    return status >= 500 && status != 501 && status != 505;
}

url joined(const url& base, std::string_view reference) {
    const bool is_below = reference.starts_with('/') && !reference.starts_with("//");
    if (!is_below) return base.resolve(reference);
    std::string path(base.path());
    while (path.ends_with('/')) path.pop_back();
    return base.resolve(path + std::string(reference));
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
