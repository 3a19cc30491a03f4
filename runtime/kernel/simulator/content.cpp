// SPDX-License-Identifier: MIT
#include "kernel/simulator/content.hpp"

#include <algorithm>
#include <cstring>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// The part of a range that is in one block.
struct piece {
    std::uint64_t block;
    std::size_t first;
    std::size_t count;
};

piece piece_at(std::uint64_t at, std::uint64_t count, std::uint64_t block_bytes) noexcept {
    const std::uint64_t first = at % block_bytes;
    return {at / block_bytes, static_cast<std::size_t>(first),
            static_cast<std::size_t>(std::min(count, block_bytes - first))};
}

}  // namespace

void sim_content::resize(std::uint64_t size) {
    if (size < size_) {
        const piece last = piece_at(size, 1, block_bytes);
        blocks_.erase(blocks_.upper_bound(last.block), blocks_.end());
        const auto cut = blocks_.find(last.block);
        if (cut != blocks_.end() && cut->second.size() > last.first)
            cut->second.resize(last.first);
    }
    size_ = size;
}

void sim_content::read(std::uint64_t at, char* to, std::size_t count) const noexcept {
    while (count > 0) {
        const piece now = piece_at(at, count, block_bytes);
        const auto found = blocks_.find(now.block);
        std::size_t stored = 0;
        if (found != blocks_.end() && found->second.size() > now.first) {
            stored = std::min(now.count, found->second.size() - now.first);
            std::memcpy(to, found->second.data() + now.first, stored);
        }
        std::memset(to + stored, 0, now.count - stored);
        to += now.count;
        at += now.count;
        count -= now.count;
    }
}

void sim_content::write(std::uint64_t at, const char* from, std::size_t count) {
    while (count > 0) {
        const piece now = piece_at(at, count, block_bytes);
        std::string& block = blocks_[now.block];
        if (block.size() < now.first + now.count) block.resize(now.first + now.count);
        std::memcpy(block.data() + now.first, from, now.count);
        from += now.count;
        at += now.count;
        count -= now.count;
        size_ = std::max(size_, at);
    }
}

void sim_content::clear(std::uint64_t at, std::uint64_t end) {
    end = std::min(end, size_);
    for (auto found = blocks_.lower_bound(at / block_bytes); found != blocks_.end(); ++found) {
        const std::uint64_t begin = found->first * block_bytes;
        if (begin >= end) break;
        std::string& block = found->second;
        const std::uint64_t from = std::max(at, begin) - begin;
        const std::uint64_t to = std::min<std::uint64_t>(end - begin, block.size());
        if (from < to) std::memset(block.data() + from, 0, static_cast<std::size_t>(to - from));
    }
}

void sim_content::assign(std::string_view all) {
    resize(0);
    write(0, all.data(), all.size());
}

std::string sim_content::text() const {
    std::string all(static_cast<std::size_t>(size_), '\0');
    read(0, all.data(), all.size());
    return all;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
