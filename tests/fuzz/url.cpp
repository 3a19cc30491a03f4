// SPDX-License-Identifier: MIT
// URLs and references: a URL that is taken is visible ASCII, its text is a fixed point, and no
// password is in what may be printed.
#include <rondo/http/url.hpp>

#include <string>

#include "fuzz/fuzz.hpp"

using rondo::http::url;

namespace {

void check(const url& where) {
    const std::string& all = where.text_with_password();
    for (const char c : all)
        fuzz::expect(c > 0x20 && c < 0x7f && c != '\\', "a URL is visible ASCII");
    fuzz::expect(all.size() <= url::size_max, "a URL is bounded");
    fuzz::expect(url(all) == where, "the text is a fixed point");
    const url shown(where.text());
    fuzz::expect(!shown.has_user() && shown.password().empty(), "no user is shown");
    fuzz::expect(shown == where.without_user(), "only the user is left out");
    fuzz::expect(shown.authority() == where.authority(), "the host is the same");
    fuzz::expect(where.authority().find('@') == std::string::npos, "no user is in the Host field");
    if (where.is_http()) {
        fuzz::expect(!where.host().empty() && where.port() != 0, "http has a host and a port");
        fuzz::expect(where.target().front() == '/', "a target begins with a slash");
        fuzz::expect(url(where.origin() + "/").host() == where.host(), "the origin is a URL");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    const std::string_view first = text.substr(0, text.find('\n'));
    const std::string_view second = first.size() < size ? text.substr(first.size() + 1) : "";
    try {
        const url base(first);
        check(base);
        check(base.with_query("a&b", second));
        check(base.without_fragment());
        const url resolved = base.resolve(second);
        check(resolved);
        fuzz::expect(resolved.resolve("") == resolved.without_fragment(),
                     "an empty reference changes nothing");
    } catch (const rondo::http::url_error& error) {
        for (const char c : std::string_view(error.what()))
            fuzz::expect(c >= 0x20 && c < 0x7f, "an error can be printed");
    }
    return 0;
}
