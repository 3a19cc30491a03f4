// SPDX-License-Identifier: MIT
// File names that a server suggests: always an ordinary name, in UTF-8, of bounded size.
#include <string>

#include <rondo/http/fields.hpp>

#include "fuzz/fuzz.hpp"
#include "http/auth.hpp"
#include "http/charset.hpp"
#include "http/disposition.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    for (const auto& name :
         {rondo::http::disposition_file_name(text), rondo::http::safe_file_name(text)}) {
        if (!name) continue;
        fuzz::expect(!name->empty() && name->size() <= rondo::http::file_name_bytes_max,
                     "the size is bounded");
        fuzz::expect(name->front() != '.' && name->front() != '-', "the first byte is harmless");
        fuzz::expect(rondo::http::is_utf8(*name), "a name is UTF-8");
        for (const char c : *name)
            fuzz::expect(
                static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '/' && c != '\\',
                "no character leads elsewhere");
    }
    // The other values of such a form.
    const rondo::http::parameters all(text);
    for (const auto& [name, value] : all.all())
        fuzz::expect(name.find_first_of(";=") == std::string::npos, "a name ends at its '='");
    for (const std::string_view element : rondo::http::split_list(text))
        fuzz::expect(!element.empty(), "no element is empty");
    (void)rondo::http::parse_challenges(text);
    return 0;
}
