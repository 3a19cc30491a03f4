// SPDX-License-Identifier: MIT
// Messages of format_error.
#include <rondo/serialize.hpp>

namespace rondo {
inline namespace v0 {

format_error::~format_error() = default;

void byte_source::throw_cut_off(std::size_t size) const {
    throw format_error("a value of " + std::to_string(size) + " bytes is cut off after " +
                       std::to_string(left_.size()));
}

std::size_t detail::read_count(byte_source& from, std::size_t element_size_min) {
    const std::uint64_t count = serializer<std::uint64_t>::read(from);
    if (count > from.left() / element_size_min)
        throw format_error(std::to_string(count) + " elements do not fit in the " +
                           std::to_string(from.left()) + " bytes that are left");
    return static_cast<std::size_t>(count);
}

void detail::throw_format(const char* what) { throw format_error(what); }

}  // namespace v0
}  // namespace rondo
