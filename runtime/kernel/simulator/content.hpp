// SPDX-License-Identifier: MIT
// The bytes of a simulated file. Parts that were never written take no memory, however large the
// file is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace rondo {
inline namespace v0 {
namespace detail {

class sim_content {
public:
    std::uint64_t size() const noexcept { return size_; }
    /// Cuts it, or makes it longer by zeros.
    void resize(std::uint64_t size);
    /// Copies bytes out; `at` + `count` is not beyond the end.
    void read(std::uint64_t at, char* to, std::size_t count) const noexcept;
    /// Writes bytes; the file grows if they end beyond its end.
    void write(std::uint64_t at, const char* from, std::size_t count);
    /// Makes the bytes from `at` to `end` zero, as far as the file has them.
    void clear(std::uint64_t at, std::uint64_t end);
    void assign(std::string_view all);
    std::string text() const;

private:
    static constexpr std::uint64_t block_bytes = std::uint64_t{64} * 1024;

    std::uint64_t size_ = 0;
    /// By number. The end of a block that is shorter than block_bytes is zeros, and so are blocks
    /// that are missing.
    std::map<std::uint64_t, std::string> blocks_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
