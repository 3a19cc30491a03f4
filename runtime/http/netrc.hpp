// SPDX-License-Identifier: MIT
// Users and passwords of hosts in a file of ftp's format, ~/.netrc (see curl(1), --netrc).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rondo {
inline namespace v0 {
namespace http {

struct netrc_entry {
    std::string user;
    std::string password;
};

/// The entry of `host` in the text of such a file, or the one of "default". `macdef` and its lines
/// are skipped; a token may be quoted.
/// Returns: nothing if there is none.
std::optional<netrc_entry> netrc_lookup(std::string_view text, std::string_view host);

}  // namespace http
}  // namespace v0
}  // namespace rondo
