// SPDX-License-Identifier: MIT
// The jar of cookies, and its file.
#include <rondo/http/cookies.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

#include "http/ascii.hpp"
#include "http/set_cookie.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

constexpr std::string_view http_only_mark = "#HttpOnly_";

bool begins_with(std::string_view text, std::string_view word) {
    return same_word(text.substr(0, word.size()), word);
}

bool is_same(const cookie& a, const cookie& b) {
    return a.name == b.name && a.domain == b.domain && a.path == b.path &&
           a.host_only == b.host_only;
}

bool is_safe(std::string_view text) {
    // Spaces around it would be lost on the way.
    return ascii::trimmed(text).size() == text.size() &&
           std::none_of(text.begin(), text.end(),
                        [](char c) { return ascii::is_control(c) || c == ';'; });
}

/// Checks the promise of a name that begins with __Secure- or __Host-.
bool keeps_promise_of_name(const set_cookie& received, const cookie& made) {
    const std::string& name = received.name.empty() ? received.value : received.name;
    if (begins_with(name, "__Secure-") && !(made.secure && !received.name.empty())) return false;
    if (!begins_with(name, "__Host-")) return true;
    return made.secure && made.host_only && received.domain.empty() && received.has_path_slash &&
           !received.name.empty();
}

class file_line {
public:
    explicit file_line(std::string_view line) : rest_(line) {}
    std::optional<std::string_view> next() {
        if (is_at_end_) return std::nullopt;
        const auto tab = rest_.find('\t');
        const std::string_view column = rest_.substr(0, tab);
        is_at_end_ = tab == std::string_view::npos;
        rest_.remove_prefix(is_at_end_ ? rest_.size() : tab + 1);
        return column;
    }

private:
    std::string_view rest_;
    bool is_at_end_ = false;
};

/// The cookie of a line: domain, whether hosts below it count, path, https only, end, name, value.
std::optional<cookie> parse_line(std::string_view line) {
    cookie made;
    made.http_only = line.substr(0, http_only_mark.size()) == http_only_mark;
    if (made.http_only) line.remove_prefix(http_only_mark.size());
    file_line columns(line);
    const auto domain = columns.next(), below = columns.next(), path = columns.next(),
               secure = columns.next(), end = columns.next(), name = columns.next(),
               value = columns.next();
    if (!name || domain->empty() || path->empty() || path->front() != '/') return std::nullopt;
    std::string_view host = *domain;
    if (host.front() == '.') host.remove_prefix(1);
    long long seconds = 0;
    const auto [stop, error] = std::from_chars(end->data(), end->data() + end->size(), seconds);
    if (error != std::errc() || stop != end->data() + end->size() || host.empty())
        return std::nullopt;
    if (seconds != 0) made.expires = date_time(std::chrono::seconds(seconds));
    made.domain.resize(host.size());
    std::transform(host.begin(), host.end(), made.domain.begin(), ascii::lower);
    made.host_only = !same_word(*below, "TRUE");
    made.path = *path;
    made.secure = same_word(*secure, "TRUE");
    made.name = *name;
    made.value = value.value_or("");
    return made;
}

}  // namespace

bool cookie_jar::receive(const url& from, std::string_view text, date_time now) {
    if (from.is_unix() || from.host().empty()) return false;
    const auto received = parse_set_cookie(text, now);
    if (!received) return false;
    cookie made(received->name, received->value, from.host());
    if (!received->domain.empty() && received->domain != from.host()) {
        if (!domain_matches(from, received->domain) || is_public_suffix(received->domain))
            return false;
        made.host_only = false;
    } else if (!received->domain.empty()) {
        // A public suffix may set cookies for itself alone, and an address has nothing below it.
        made.host_only = from.kind() != host_kind::name || is_public_suffix(received->domain);
    }
    made.domain = received->domain.empty() ? std::string(from.host()) : received->domain;
    made.path = received->path.empty() ? default_cookie_path(from.path()) : received->path;
    made.expires = received->expires;
    made.secure = received->secure;
    made.http_only = received->http_only;
    if (made.secure && !from.is_secure()) return false;
    if (!keeps_promise_of_name(*received, made)) return false;
    if (!from.is_secure() && is_hidden_by_secure(made)) return false;
    if (made.expires && *made.expires <= now) {
        std::erase_if(all_, [&](const cookie& each) { return is_same(each, made); });
        return true;
    }
    insert(std::move(made));
    return true;
}

// A plain connection cannot replace, or hide, what was set over https.
bool cookie_jar::is_hidden_by_secure(const cookie& added) const {
    const auto covers = [](std::string_view domain, std::string_view below) {
        return domain == below || (below.size() > domain.size() && below.ends_with(domain) &&
                                   below[below.size() - domain.size() - 1] == '.');
    };
    return std::any_of(all_.begin(), all_.end(), [&](const cookie& each) {
        return each.secure && each.name == added.name &&
               (covers(each.domain, added.domain) || covers(added.domain, each.domain)) &&
               path_matches(added.path, each.path);
    });
}

void cookie_jar::receive(const url& from, const fields& headers, date_time now) {
    for (const auto& [name, value] : headers)
        if (same_word(name, "set-cookie")) receive(from, value, now);
}

std::string cookie_jar::header(const url& to, date_time now) const {
    if (to.is_unix()) return "";
    std::vector<const cookie*> sent;
    for (const cookie& each : all_) {
        const bool is_for_host =
            each.host_only ? to.host() == each.domain : domain_matches(to, each.domain);
        if (is_for_host && path_matches(to.path(), each.path) && (!each.secure || to.is_secure()) &&
            (!each.expires || *each.expires > now))
            sent.push_back(&each);
    }
    std::stable_sort(sent.begin(), sent.end(), [](const cookie* a, const cookie* b) {
        return a->path.size() > b->path.size();  // then the older one: the order of all_
    });
    std::string text;
    for (const cookie* each : sent) {
        if (!text.empty()) text += "; ";
        if (!each->name.empty()) (text += each->name) += '=';
        text += each->value;
    }
    return text;
}

void cookie_jar::set(cookie added) {
    if (!is_safe(added.name) || !is_safe(added.value) || !is_safe(added.path) ||
        !is_safe(added.domain) || added.name.find('=') != std::string::npos)
        throw error("the cookie \"" + ascii::printable(added.name) +
                    "\" has a character that would end its field");
    if (added.path.empty() || added.path.front() != '/') added.path = "/";
    insert(std::move(added));
}

void cookie_jar::insert(cookie added) {
    const auto found = std::find_if(all_.begin(), all_.end(),
                                    [&](const cookie& each) { return is_same(each, added); });
    if (found != all_.end()) {  // it keeps its place
        added.order_ = found->order_;
        *found = std::move(added);
        return;
    }
    make_room(added.domain);
    added.order_ = ++created_;
    all_.push_back(std::move(added));
}

void cookie_jar::make_room(const std::string& domain) {
    const auto is_of_domain = [&](const cookie& each) { return each.domain == domain; };
    const auto count = std::count_if(all_.begin(), all_.end(), is_of_domain);
    if (count >= static_cast<std::ptrdiff_t>(per_domain_max))
        all_.erase(std::find_if(all_.begin(), all_.end(), is_of_domain));
    else if (all_.size() >= cookies_max)
        all_.erase(all_.begin());
}

void cookie_jar::expire(date_time now) {
    std::erase_if(all_, [&](const cookie& each) { return each.expires && *each.expires <= now; });
}

std::string cookie_jar::text() const {
    std::string result = "# Netscape HTTP Cookie File\n";
    for (const cookie& each : all_) {
        if (each.http_only) result += http_only_mark;
        if (!each.host_only) result += '.';
        result += each.domain;
        result += each.host_only ? "\tFALSE\t" : "\tTRUE\t";
        result += each.path;
        result += each.secure ? "\tTRUE\t" : "\tFALSE\t";
        result += std::to_string(each.expires ? each.expires->time_since_epoch().count() : 0);
        ((result += '\t') += each.name) += '\t';
        (result += each.value) += '\n';
    }
    return result;
}

void cookie_jar::load(std::string_view text) {
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        const bool is_comment = !line.empty() && line.front() == '#' &&
                                line.substr(0, http_only_mark.size()) != http_only_mark;
        if (line.empty() || is_comment) continue;
        auto made = parse_line(line);
        if (!made) throw error("line " + std::to_string(number) + " is no line of a cookie file");
        set(std::move(*made));
    }
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
