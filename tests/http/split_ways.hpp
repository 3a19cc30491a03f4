// SPDX-License-Identifier: MIT
// Gives a text to a decoder in every way in which a network may cut it: whole, byte by byte, cut at
// every place, and, if it is short, at every pair of places. Each piece is a heap block of exactly
// its size, so that the address sanitizer sees a read beyond it and a view that is kept.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

namespace split_ways {

using pieces = std::vector<std::string_view>;

inline pieces single_bytes(std::string_view text) {
    pieces result;
    for (std::size_t i = 0; i < text.size(); ++i) result.push_back(text.substr(i, 1));
    return result;
}

/// Calls `take(bytes)` with a copy of each piece in a block of its own.
template <class Take>
void feed(const pieces& parts, Take&& take) {
    for (const std::string_view part : parts) {
        const std::vector<char> block(part.begin(), part.end());
        take(std::string_view(block.data(), block.size()));
    }
}

/// Calls `outcome_of(pieces)` for every way to cut `text`, and fails if one outcome differs.
/// Returns: the outcome.
template <class OutcomeOf>
auto same_every_way(std::string_view text, OutcomeOf&& outcome_of) {
    const auto whole = outcome_of(pieces{text});
    // Catch stays out of the loops: an assertion takes a hundred times longer than a decoder.
    INFO("text: " << text.substr(0, 300));
    if (!(outcome_of(single_bytes(text)) == whole)) FAIL("differs byte by byte");
    const std::size_t size = text.size();
    for (std::size_t i = 0; i <= size; ++i)
        if (!(outcome_of(pieces{text.substr(0, i), text.substr(i)}) == whole))
            FAIL("differs when cut at " << i);
    if (size > 90) return whole;
    for (std::size_t i = 0; i <= size; ++i)
        for (std::size_t j = i; j <= size; ++j)
            if (!(outcome_of(pieces{text.substr(0, i), text.substr(i, j - i), text.substr(j)}) ==
                  whole))
                FAIL("differs when cut at " << i << " and " << j);
    return whole;
}

}  // namespace split_ways
