// SPDX-License-Identifier: MIT
// The state of an unfinished download, kept beside its part: NAME.part.rondo-get. With it a later
// run asks for the missing bytes only, and only if the server's file is still the one that the
// bytes came from.
//
// The part and its state may have been changed by anybody meanwhile. So the text is parsed
// strictly, and is bounded; the caller compares the inode and the length of the part. A state that
// does not fit is worth nothing: the download begins again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "segments.hpp"

namespace downloader {

/// Bytes of the longest state that is read.
inline constexpr std::size_t state_bytes_max = 64 << 10;

/// The identity of the server's file, and which of its bytes the part has.
struct saved_state {
    saved_state() = default;

    std::string url;       ///< that the validator came from, without password
    std::string etag;      ///< a strong one, or empty
    std::string modified;  ///< Last-Modified as it was sent, or empty
    std::uint64_t length = 0;
    std::uint64_t inode = 0;       ///< of the part
    std::vector<byte_range> done;  ///< in order, apart from each other, inside of the length

    bool operator==(const saved_state&) const = default;
};

std::string state_text(const saved_state& state);

/// Returns: nothing for any other text than state_text() makes.
std::optional<saved_state> parse_state(std::string_view text);

}  // namespace downloader
