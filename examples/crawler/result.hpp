// SPDX-License-Identifier: MIT
// The result of a page, and its form as a line of JSON. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/config.hpp>

namespace crawler {

/// The result of a visit. A field that is empty is left out of the line.
struct page_result {
    std::string url;
    unsigned depth = 0;
    int status = 0;    // 0: no answer
    std::string type;  // media type
    std::string title;
    std::optional<std::uint64_t> bytes;  // of the body, decoded, as far as it was read
    bool is_cut = false;                 // the body was longer than --max-bytes
    std::optional<std::size_t> links;    // different URLs in the page
    std::vector<std::string> to;         // these URLs, with --list-links
    std::string location;                // of a redirect
    std::string canonical;               // if it is another URL
    bool is_noindex = false;
    rondo::duration time{};  // from the request to the end of the body
    std::string skipped;     // the reason why the page was not asked for
    std::string error;       // the reason why there is no complete answer
};

/// `{"url":"http://...","depth":1,"status":200,...}`, without a line end.
std::string json_line(const page_result& result);

/// `text` as a JSON string, with its quotes. Bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace crawler
