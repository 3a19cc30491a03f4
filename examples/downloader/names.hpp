// SPDX-License-Identifier: MIT
// The names of files.
//
// A server or a list file decides the last segment of a URL, so it may be hostile: "%2e%2e", an
// encoded slash, a newline, an escape sequence or a dot file must become an ordinary name in the
// output folder. Names are repaired rather than refused, since the user wants the file and can
// rename it; every repair is an underscore, and is reported. The name is built from allowed
// characters, never by deleting others: deleting can join the pieces of something bad. The caller
// must open the file below the folder without following links.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace downloader {

/// Leaves room for ".2.part.2.rondo-get" below NAME_MAX, 255.
inline constexpr std::size_t name_bytes_max = 200;

/// The name for a request target such as "/a/b%20c.iso?x=1", before its repair: the last segment of
/// its path, percent-decoded once. "index.html" for an empty one.
std::string raw_name(std::string_view target);

/// `name` repaired.
/// Returns: 1 to 200 bytes of valid UTF-8 without '/', '\' and control characters that start with
///          neither '.' nor '-' ('.' would hide the file, '-' makes it an option of the next
///          command). A name that is too long loses bytes before its extension.
std::string safe_name(std::string_view name);

/// Both: the name of the file for a request target.
std::string file_name(std::string_view target);

/// "a.iso", 2: "a.iso.2"
std::string numbered(const std::string& name, std::size_t number);

/// Hands out names such that no two of a run are equal: the second "a.iso" becomes "a.iso.2".
class file_names {
public:
    /// `name` is a safe one.
    std::string claim(const std::string& name);
    bool is_claimed(const std::string& name) const { return taken_.contains(name); }

private:
    std::unordered_map<std::string, std::size_t> taken_;  // name -> the last number given to it
};

/// The names that a folder had at the beginning of the run. A file that another program makes
/// meanwhile is found when the own one gets its name, and is not replaced either.
class found_names {
public:
    found_names() = default;
    /// Names in order; nothing if they are not known.
    explicit found_names(std::optional<std::vector<std::string>> names);

    bool may_have(const std::string& name) const;
    /// False if no name can be of an unfinished file or its state.
    bool may_have_parts() const { return may_have_parts_; }

private:
    std::optional<std::vector<std::string>> names_;
    bool may_have_parts_ = true;
};

}  // namespace downloader
