// SPDX-License-Identifier: MIT
// A random program as a tree of parts, and its text.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace random_program {


enum class part_t : std::uint8_t {
    // of other parts
    all_of,      // gather
    one_by_one,  // one after the other
    in_time,     // wait_for with a long time
    race,        // against a wait that never ends; then that wait's object is used
    failing,     // gathered with one that fails
    // leaves
    value,
    pause,
    stream,
    timed_out,  // a read with a short time; then what it waited for comes
    cancelled,  // the same, cancelled by another task
    late,       // a read that begins before the write
    closed,     // a write to a reader that has gone
    refused,    // a connect where no listener is
    accepted,   // an accept that is left, and then accepts
    file,
    folder,
    items,
    datagram,
    readable,
    lock,
    count,
};

inline constexpr std::array part_names{
    "all_of", "one_by_one", "in_time", "race",    "failing",  "value", "pause",
    "stream", "timed_out",  "cancelled", "late",  "closed",   "refused", "accepted",
    "file",   "folder",     "items",   "datagram", "readable", "lock"};
static_assert(part_names.size() == static_cast<std::size_t>(part_t::count));

struct part {
    part_t what = part_t::value;
    int id = 0;  // of this part alone
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    std::vector<part> inner;
};

class maker {
public:
    explicit maker(unsigned seed) : dice_(seed) {}

    part make(int depth) {
        part one;
        one.id = next_++;
        constexpr auto leaves = static_cast<unsigned>(part_t::value);
        const bool is_leaf = depth == 0 || (one.id != 0 && below(2) == 0);
        one.what = static_cast<part_t>(
            is_leaf ? leaves + below(static_cast<unsigned>(part_t::count) - leaves)
                    : below(leaves));
        one.a = below(1'000'000);
        one.b = below(1'000'000);
        one.c = below(1'000'000);
        switch (one.what) {
            case part_t::all_of:
            case part_t::one_by_one: {
                const unsigned children = 1 + below(4);
                for (unsigned i = 0; i < children; ++i) one.inner.push_back(make(depth - 1));
                break;
            }
            case part_t::in_time:
            case part_t::race:
            case part_t::failing: one.inner.push_back(make(depth - 1)); break;
            default: break;
        }
        return one;
    }

private:
    unsigned below(unsigned limit) { return static_cast<unsigned>(dice_() % limit); }

    std::mt19937 dice_;
    int next_ = 0;
};

inline std::string text_of(const part& one, int indent = 0) {
    std::string text(static_cast<std::size_t>(indent) * 2, ' ');
    text += part_names[static_cast<std::size_t>(one.what)];
    text += " " + std::to_string(one.id) + " (" + std::to_string(one.a) + " " +
            std::to_string(one.b) + " " + std::to_string(one.c) + ")\n";
    for (const part& each : one.inner) text += text_of(each, indent + 1);
    return text;
}

inline std::string bytes_of(const part& one, std::size_t size) {
    std::string bytes(size, '\0');
    unsigned word = one.a * 2654435761u + 1;
    for (char& each : bytes) {
        word = word * 1664525u + 1013904223u;
        each = static_cast<char>('a' + (word >> 24) % 26);
    }
    return bytes;
}

}  // namespace random_program
