// SPDX-License-Identifier: MIT
// Sends to other processes whatever cereal can serialise: include this beside the headers of cereal for the types in
// question (<cereal/types/map.hpp> and the like), and give classes of one's own a `serialize` as cereal wants it.
//
// It is not in <rondo/rondo.hpp>: cereal is a package of its own (libcereal-dev) and dear to parse. cereal trusts the sizes
// that it reads; that is right for the worker processes of one's own program and for nobody else.
#pragma once

#include <algorithm>
#include <cstring>
#include <istream>
#include <ostream>
#include <streambuf>

#include <cereal/archives/binary.hpp>

#include <rondo/serialize.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Appends to a string.
class appending_buffer : public std::streambuf {
public:
    explicit appending_buffer(std::string& to) : to_(to) {}

private:
    std::streamsize xsputn(const char* bytes, std::streamsize size) override {
        to_.append(bytes, static_cast<std::size_t>(size));
        return size;
    }
    int_type overflow(int_type byte) override {
        if (!traits_type::eq_int_type(byte, traits_type::eof()))
            to_.push_back(traits_type::to_char_type(byte));
        return traits_type::not_eof(byte);
    }
    std::string& to_;
};

/// Takes from a byte_source; short where that is.
class taking_buffer : public std::streambuf {
public:
    explicit taking_buffer(byte_source& from) : from_(from) {}

private:
    std::streamsize xsgetn(char* bytes, std::streamsize size) override {
        const std::size_t count = std::min(static_cast<std::size_t>(size), from_.left());
        const std::string_view taken = from_.take(count);
        if (count != 0) std::memcpy(bytes, taken.data(), count);
        return static_cast<std::streamsize>(count);
    }
    byte_source& from_;
};

template <class T>
concept only_cereal_knows =
    !plain_bytes<T> && !std::is_pointer_v<T> && !is_view<T> && std::is_default_constructible_v<T> &&
    cereal::traits::is_output_serializable<T, cereal::BinaryOutputArchive>::value &&
    cereal::traits::is_input_serializable<T, cereal::BinaryInputArchive>::value;

}  // namespace detail

template <detail::only_cereal_knows T>
struct serializer<T> {
    static void write(const T& value, std::string& to) {
        detail::appending_buffer buffer(to);
        std::ostream stream(&buffer);
        cereal::BinaryOutputArchive archive(stream);
        archive(value);
    }
    static T read(byte_source& from) {
        detail::taking_buffer buffer(from);
        std::istream stream(&buffer);
        try {
            cereal::BinaryInputArchive archive(stream);
            T value;
            archive(value);
            return value;
        } catch (const cereal::Exception& error) {
            throw format_error(error.what());
        }
    }
};

}  // namespace v0
}  // namespace rondo
