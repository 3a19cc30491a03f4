// SPDX-License-Identifier: MIT
// The links and the title of a page of HTML, as a browser would find them (gumbo builds the tree
// that the HTML standard prescribes, whatever the text). No I/O.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/http/url.hpp>

namespace crawler {

/// A link, resolved and normalized.
class page_link {
public:
    /// `page`: a document that a reader could go to. `part`: images, scripts, styles and the like.
    enum class kind : unsigned char { page, part };

    page_link(rondo::http::url where, kind what, bool follow)
        : to(std::move(where)), of(what), is_followed(follow) {}

    rondo::http::url to;
    kind of;
    bool is_followed;  // false: rel=nofollow
};

/// Contents of a page.
struct page_content {
    std::string title;             // one line, at most 300 bytes
    std::vector<page_link> links;  // each URL once, in the order of the page
    std::string canonical;         // the URL by which the page wants to be known; may be empty
    bool may_follow = true;        // false: <meta name=robots content=nofollow>
    bool may_index = true;         // false: ... noindex
};

/// A page that takes the parser too much time or memory. The standard's algorithm takes quadratic
/// time for elements that are nested a hundred thousand deep, which happens in no honest page.
class page_too_complex : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Parses a page in UTF-8 that has come from `address`.
/// Throws: page_too_complex after half a second of processor time or 256 MiB.
/// Thread: any.
page_content read_page(std::string_view html, const rondo::http::url& address,
                       std::string_view agent);

/// The texts of all <loc> elements: the URLs of a sitemap.
std::vector<std::string> read_sitemap(std::string_view xml);

/// Notes the directives of a meta element or an X-Robots-Tag: "noindex, nofollow", "none".
void read_directives(std::string_view text, page_content& into);

}  // namespace crawler
