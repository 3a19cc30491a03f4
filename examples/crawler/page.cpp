// SPDX-License-Identifier: MIT
// Walks the tree of a page, and collects what a crawler needs.
#include "page.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <set>
#include <utility>

#include <rondo/http/fields.hpp>

#include "address.hpp"
#include "html_tree.hpp"

namespace crawler {

namespace {

using rondo::http::same_word;
using rondo::http::url;

constexpr std::size_t title_bytes_max = 300;
constexpr std::string_view html_blank = " \t\r\n\f";

/// Calls `fn(word)` for the words of `text`, which any of `separators` separate.
template <class F>
void for_each_word(std::string_view text, std::string_view separators, F fn) {
    while (!text.empty()) {
        const auto begin = std::min(text.find_first_not_of(separators), text.size());
        text.remove_prefix(begin);
        const std::string_view word = text.substr(0, text.find_first_of(separators));
        if (!word.empty()) fn(word);
        text.remove_prefix(word.size());
    }
}

bool has_word(std::string_view text, std::string_view wanted) {
    bool result = false;
    for_each_word(text, html_blank,
                  [&](std::string_view word) { result = result || same_word(word, wanted); });
    return result;
}

/// The text of an element's own text nodes.
std::string text_of(const GumboElement& element) {
    std::string result;
    for (unsigned i = 0; i < element.children.length; ++i) {
        const auto* child = static_cast<const GumboNode*>(element.children.data[i]);
        if (child->type == GUMBO_NODE_TEXT || child->type == GUMBO_NODE_WHITESPACE ||
            child->type == GUMBO_NODE_CDATA)
            result += child->v.text.text;
    }
    return result;
}

/// `text` in one line, and not too long.
std::string one_line(std::string_view text) {
    std::string result;
    for_each_word(text, html_blank, [&](std::string_view word) {
        if (result.size() + word.size() >= title_bytes_max) return;
        if (!result.empty()) result += ' ';
        result += word;
    });
    return result;
}

/// The URL of the first <base> that has one.
url base_of(const html_tree& tree, const url& address) {
    std::optional<url> result;
    tree.for_each([&](const GumboElement& element) {
        if (element.tag != GUMBO_TAG_BASE || result) return;
        bool there = false;
        const std::string_view href = attribute_of(element, "href", &there);
        if (there) result = resolved(address, href).value_or(address);
    });
    return result.value_or(address);
}

class page_reader {
public:
    page_reader(const url& base, std::string_view agent, page_content& into)
        : base_(base), agent_(agent), into_(into) {}

    void read(const GumboElement& element) {
        const bool is_html = element.tag_namespace == GUMBO_NAMESPACE_HTML;
        switch (element.tag) {
            case GUMBO_TAG_A:
            case GUMBO_TAG_AREA:
                return add_link(element);  // of an SVG too, whose xlink:href gumbo calls href
            case GUMBO_TAG_IFRAME:
            case GUMBO_TAG_FRAME:
                return add(attribute_of(element, "src"), page_link::kind::page, true);
            case GUMBO_TAG_LINK:
                return read_relation(element);
            case GUMBO_TAG_META:
                return read_meta(element);
            case GUMBO_TAG_TITLE:  // that of an SVG is another
                if (is_html && into_.title.empty()) into_.title = one_line(text_of(element));
                return;
            default:
                return read_parts(element);
        }
    }

private:
    void add(std::string_view text, page_link::kind of, bool follow) {
        if (text.empty()) return;
        auto to = resolved(base_, text);
        if (to && seen_.insert(to->text()).second)
            into_.links.emplace_back(std::move(*to), of, follow);
    }

    void add_link(const GumboElement& element) {
        add(attribute_of(element, "href"), page_link::kind::page,
            !has_word(attribute_of(element, "rel"), "nofollow"));
    }

    void read_relation(const GumboElement& element) {
        const std::string_view relation = attribute_of(element, "rel");
        const std::string_view to = attribute_of(element, "href");
        if (has_word(relation, "canonical") && !to.empty() && into_.canonical.empty())
            if (const auto canonical = resolved(base_, to)) into_.canonical = canonical->text();
        const auto is_page = [&](std::string_view name) { return has_word(relation, name); };
        constexpr std::array<std::string_view, 5> pages = {"canonical", "next", "prev", "alternate",
                                                           "amphtml"};
        constexpr std::array<std::string_view, 3> parts = {"stylesheet", "icon", "manifest"};
        if (std::any_of(parts.begin(), parts.end(), is_page))
            add(to, page_link::kind::part, true);
        else if (std::any_of(pages.begin(), pages.end(), is_page))
            add_link(element);
    }

    void read_meta(const GumboElement& element) {
        const std::string_view name = attribute_of(element, "name");
        const std::string_view content = attribute_of(element, "content");
        if (same_word(name, "robots") || same_word(name, agent_)) read_directives(content, into_);
        if (!same_word(attribute_of(element, "http-equiv"), "refresh")) return;
        // "5; url='next.html'"
        const auto equals = content.find('=');
        if (equals == content.npos) return;
        std::string_view to = content.substr(equals + 1);
        to.remove_prefix(std::min(to.find_first_not_of(html_blank), to.size()));
        if (!to.empty() && (to.front() == '"' || to.front() == '\'')) {
            const char quote = to.front();
            to.remove_prefix(1);
            to = to.substr(0, to.find(quote));
        }
        add(to, page_link::kind::page, true);
    }

    void read_parts(const GumboElement& element) {
        switch (element.tag) {
            case GUMBO_TAG_IMG:
            case GUMBO_TAG_SOURCE:
            case GUMBO_TAG_SCRIPT:
            case GUMBO_TAG_VIDEO:
            case GUMBO_TAG_AUDIO:
            case GUMBO_TAG_TRACK:
            case GUMBO_TAG_EMBED:
            case GUMBO_TAG_INPUT:
                add(attribute_of(element, "src"), page_link::kind::part, true);
                add(attribute_of(element, "poster"), page_link::kind::part, true);
                return add_candidates(attribute_of(element, "srcset"));
            default:
                return;
        }
    }

    /// "small.png 1x, large.png 2x": each URL may have commas inside, and none at its end.
    void add_candidates(std::string_view srcset) {
        constexpr std::string_view before = " \t\r\n\f,";
        while (!srcset.empty()) {
            srcset.remove_prefix(std::min(srcset.find_first_not_of(before), srcset.size()));
            std::string_view to = srcset.substr(0, srcset.find_first_of(html_blank));
            srcset.remove_prefix(to.size());
            if (to.ends_with(','))
                to = to.substr(0, to.find_last_not_of(',') + 1);
            else
                srcset.remove_prefix(std::min(srcset.find(','), srcset.size()));
            add(to, page_link::kind::part, true);
        }
    }

    const url& base_;
    std::string_view agent_;
    page_content& into_;
    std::set<std::string> seen_;
};

}  // namespace

void read_directives(std::string_view text, page_content& into) {
    for_each_word(text, " \t\r\n\f,", [&](std::string_view word) {
        if (same_word(word, "nofollow") || same_word(word, "none")) into.may_follow = false;
        if (same_word(word, "noindex") || same_word(word, "none")) into.may_index = false;
    });
}

page_content read_page(std::string_view html, const url& address, std::string_view agent) {
    page_content result;
    const html_tree tree(html);
    const url base = base_of(tree, address);
    page_reader reader(base, agent, result);
    tree.for_each([&](const GumboElement& element) { reader.read(element); });
    return result;
}

std::vector<std::string> read_sitemap(std::string_view xml) {
    std::vector<std::string> result;
    const html_tree tree(xml);
    tree.for_each([&](const GumboElement& element) {
        const std::string_view tag(element.original_tag.data, element.original_tag.length);
        if (same_word(tag.substr(0, 4), "<loc")) result.push_back(one_line(text_of(element)));
    });
    return result;
}

}  // namespace crawler
