// SPDX-License-Identifier: MIT
// Which bytes of a file are still to come, and which task fetches which of them.
//
// A task takes a segment, reports the bytes that it has written, and gives the segment back when it
// is complete or the task has failed. If none is free, a task may get the second half of one that
// another fetches: then that one's end moves, and its task stops there. Or it shares the segment:
// then both ask for the same bytes, and those count that come first. helping.hpp has the rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace downloader {

/// Bytes from `begin` up to but not including `end`.
struct byte_range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t size() const { return end - begin; }
    bool operator==(const byte_range&) const = default;
};

class segments {
public:
    /// The length of a file whose length is not known.
    static constexpr std::uint64_t unknown = std::numeric_limits<std::uint64_t>::max();

    /// A file of `length` bytes, of which `done` are there already.
    explicit segments(std::uint64_t length = unknown, const std::vector<byte_range>& done = {});

    /// Cuts the longest missing segments in two until there are `count`, or the next cut would make
    /// one shorter than `least` bytes. No segment may be taken.
    void split(std::size_t count, std::uint64_t least);

    /// The number of a segment to fetch, which is now taken.
    /// Returns: nothing if no byte is left that another task does not fetch.
    std::optional<std::size_t> take();
    /// Cuts the second half off a segment that another task fetches.
    /// Returns: its number; it is taken.
    std::size_t take_half(std::size_t number);
    /// Takes a segment that another task fetches: both fetch it now.
    void share(std::size_t number) { ++all_[number].tasks; }
    void give_back(std::size_t number) { --all_[number].tasks; }
    /// How many tasks fetch it.
    unsigned tasks(std::size_t number) const { return all_[number].tasks; }

    /// All bytes of a taken segment up to `end` are written.
    /// Returns: how many of them were not yet.
    std::uint64_t reach(std::size_t number, std::uint64_t end);

    std::uint64_t position(std::size_t number) const { return all_[number].range.begin; }
    std::uint64_t end(std::size_t number) const { return all_[number].range.end; }
    std::uint64_t left(std::size_t number) const { return all_[number].range.size(); }

    /// The file turned out to end at the position of the segment; for an unknown length.
    void ends_at(std::size_t number);

    std::uint64_t length() const { return length_; }
    std::uint64_t bytes_left() const;
    bool is_complete() const { return bytes_left() == 0; }
    /// How many segments have bytes left.
    std::size_t count() const;
    /// The ranges that are there, in order and merged.
    std::vector<byte_range> done() const;

private:
    struct segment {
        byte_range range;    // still to come
        unsigned tasks = 0;  // that fetch it
    };
    std::size_t longest_free() const;
    void cut(std::size_t number);

    std::uint64_t length_;
    std::vector<segment> all_;  // a number is an index, and stays; in no order
};

}  // namespace downloader
