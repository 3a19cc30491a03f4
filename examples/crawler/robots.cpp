// SPDX-License-Identifier: MIT
// Lines, groups, and which rule wins.
#include "robots.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include <rondo/http/fields.hpp>

#include "address.hpp"

namespace crawler {

namespace {

using rondo::http::same_word;

constexpr std::string_view robots_blank = " \t";

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(robots_blank);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(robots_blank) - first + 1);
}

struct robots_line {
    std::string_view key;
    std::string_view value;
};

/// Takes the next line off `rest`, without its comment. The key is empty if it has no colon.
robots_line next_line(std::string_view& rest) {
    std::string_view line = rest.substr(0, rest.find_first_of("\r\n"));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    line = line.substr(0, line.find('#'));
    const auto colon = line.find(':');
    if (colon == line.npos) return {};
    return {trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1))};
}

std::optional<std::chrono::milliseconds> delay_of(std::string_view text) {
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    constexpr double longest = 24 * 3600;
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (!std::isfinite(seconds) || seconds < 0) return std::nullopt;
    return std::chrono::milliseconds(std::llround(std::min(seconds, longest) * 1000));
}

}  // namespace

std::string_view product_token(std::string_view user_agent) {
    const auto is_part = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
    };
    const auto end = std::find_if_not(user_agent.begin(), user_agent.end(), is_part);
    return user_agent.substr(0, static_cast<std::size_t>(end - user_agent.begin()));
}

bool robots_match(std::string_view pattern, std::string_view target) {
    const bool is_whole = pattern.ends_with('$');
    if (is_whole) pattern.remove_suffix(1);

    // The pieces between the stars, each as early as possible: a later place for one can only leave
    // less for those after it. Of a whole match the last piece has to stand at the end.
    const std::string_view first = pattern.substr(0, pattern.find('*'));
    if (!target.starts_with(first)) return false;
    if (first.size() == pattern.size()) return !is_whole || target.size() == first.size();
    target.remove_prefix(first.size());
    pattern.remove_prefix(first.size() + 1);
    for (auto star = pattern.find('*'); star != pattern.npos; star = pattern.find('*')) {
        const auto found = target.find(pattern.substr(0, star));
        if (found == target.npos) return false;
        target.remove_prefix(found + star);
        pattern.remove_prefix(star + 1);
    }
    return is_whole ? target.ends_with(pattern) : target.find(pattern) != target.npos;
}

robots_rules robots_rules::forbid_all() {
    robots_rules result;
    result.rules_.push_back({"/", false});
    return result;
}

robots_rules::robots_rules(std::string_view text, std::string_view agent) {
    text = text.substr(0, text_max);
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);

    robots_rules for_all;    // of the groups of "*"
    bool is_named = false;   // a group names the agent
    bool in_agents = false;  // the line before was a user-agent: further ones join its group
    bool holds_for_us = false;
    bool holds_for_all = false;
    while (!text.empty()) {
        const robots_line line = next_line(text);
        if (same_word(line.key, "user-agent")) {
            if (!std::exchange(in_agents, true)) holds_for_us = holds_for_all = false;
            holds_for_all = holds_for_all || line.value == "*";
            holds_for_us = holds_for_us || same_word(product_token(line.value), agent);
            is_named = is_named || holds_for_us;
            continue;
        }
        if (same_word(line.key, "sitemap")) sitemaps_.emplace_back(line.value);
        const bool allow = same_word(line.key, "allow");
        const bool is_delay = same_word(line.key, "crawl-delay");
        if (!allow && !is_delay && !same_word(line.key, "disallow")) continue;
        in_agents = false;
        for (robots_rules* group :
             {holds_for_us ? this : nullptr, holds_for_all ? &for_all : nullptr}) {
            if (group == nullptr) continue;
            if (is_delay)
                group->delay_ = delay_of(line.value);
            else if (!line.value.empty())  // an empty Disallow forbids nothing
                group->rules_.push_back({comparable(line.value), allow});
        }
    }
    if (is_named) return;
    rules_ = std::move(for_all.rules_);
    delay_ = for_all.delay_;
}

bool robots_rules::allows(std::string_view target) const {
    if (target == "/robots.txt") return true;
    const std::string path = comparable(target);
    const rule* best = nullptr;
    for (const rule& one : rules_) {
        const bool is_better = best == nullptr || one.pattern.size() > best->pattern.size() ||
                               (one.pattern.size() == best->pattern.size() && one.allow);
        if (is_better && robots_match(one.pattern, path)) best = &one;
    }
    return best == nullptr || best->allow;
}

}  // namespace crawler
