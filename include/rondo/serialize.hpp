// SPDX-License-Identifier: MIT
// Conversion of values to bytes and back, for another process of the same program: process_pool and
// ipc_channel use it. Built in are trivially copyable values, strings, keyed containers like
// std::map and std::set, and pairs, tuples, optionals, variants, arrays and vectors of serializable
// types. <rondo/cereal.hpp> adds smart pointers and classes of the user.
//
// Both ends are the same build on the same machine, so the format has no byte order and no version.
// Reading checks every length against the bytes that are left: malformed input throws format_error
// and never causes a large allocation. Trivially copied members are not validated: a bool inside a
// struct has the byte that the sender wrote.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/buffer.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {

/// Malformed bytes: cut off, too many, or with an impossible value.
class RONDO_API format_error : public error {
public:
    using error::error;
    ~format_error() override;
};

/// Reads bytes from front to back. It borrows them.
class RONDO_API byte_source {
public:
    explicit byte_source(std::string_view bytes) noexcept : left_(bytes) {}

    /// Returns: the number of bytes not read yet.
    std::size_t left() const noexcept { return left_.size(); }
    /// Returns: the next `size` bytes.
    /// Throws: format_error if fewer are left.
    std::string_view take(std::size_t size) {
        if (size > left_.size()) throw_cut_off(size);
        const std::string_view taken = left_.substr(0, size);
        left_.remove_prefix(size);
        return taken;
    }

private:
    [[noreturn]] void throw_cut_off(std::size_t size) const;
    std::string_view left_;
};

/// Converts a T to bytes and back. Specialise it for a type of your own:
///
///     template <> struct rondo::serializer<point> {
///         static void write(const point& p, std::string& to);   // appends, at least one byte
///         static point read(rondo::byte_source& from);
///     };
template <class T>
struct serializer;

/// T has a serializer, so that its values can be sent to another process.
template <class T>
concept serializable = requires(const T& value, std::string& to, byte_source& from) {
    serializer<T>::write(value, to);
    { serializer<T>::read(from) } -> std::convertible_to<T>;
};

/// Appends the bytes of `value` to `to`.
template <class T>
void serialize(const T& value, std::string& to) {
    static_assert(serializable<T>,
                  "this type cannot be sent to another process: include <rondo/cereal.hpp> if "
                  "cereal can serialise it, or specialise rondo::serializer for it; pointers and "
                  "views point into this process");
    serializer<T>::write(value, to);
}
/// Returns: the bytes of `value`.
template <class T>
std::string serialize(const T& value) {
    std::string bytes;
    rondo::serialize(value, bytes);
    return bytes;
}

/// Returns: the value that `bytes` were made from.
/// Throws: format_error if the bytes are malformed, or if some are left over.
template <class T>
T deserialize(std::string_view bytes) {
    byte_source from(bytes);
    T value = serializer<T>::read(from);
    if (from.left() != 0)
        throw format_error(std::to_string(from.left()) + " bytes are left over after the value");
    return value;
}

namespace detail {

/// Types that point to other memory: views, spans, rondo's buffers and chunks,
/// std::reference_wrapper.
template <class T>
concept view_like = std::ranges::enable_borrowed_range<T> || std::is_same_v<T, buffer_view> ||
                    std::is_same_v<T, const_buffer> || requires(T& value) {
                        typename T::type;
                        { value.get() } -> std::same_as<typename T::type&>;
                    };

/// Templates that this header serializes. cereal.hpp does not take them over, even if an element
/// type cannot be sent.
template <class T>
inline constexpr bool known_template = false;
template <class T>
inline constexpr bool known_template<std::vector<T>> = true;
template <class T, std::size_t N>
inline constexpr bool known_template<std::array<T, N>> = true;
template <class T, class U>
inline constexpr bool known_template<std::pair<T, U>> = true;
template <class... T>
inline constexpr bool known_template<std::tuple<T...>> = true;
template <class T>
inline constexpr bool known_template<std::optional<T>> = true;
template <class... T>
inline constexpr bool known_template<std::variant<T...>> = true;

/// Types that are copied byte by byte. A class with a pointer member cannot be told apart: sending
/// one is the user's mistake.
template <class T>
concept plain_bytes =
    std::is_object_v<T> && std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
    !std::is_member_pointer_v<T> && !std::is_null_pointer_v<T> && !std::is_array_v<T> &&
    !view_like<T> && !known_template<T>;

/// Containers with keys: std::map, std::set, std::unordered_map and the like.
template <class T>
concept keyed = requires(T& all, typename T::value_type one) {
    typename T::key_type;
    all.insert(std::move(one));
    { all.size() } -> std::convertible_to<std::size_t>;
};

/// The element type of a keyed container, without the const of its key: it can be read first and
/// inserted afterwards.
template <class T>
struct item_of {
    using type = T;
};
template <class K, class V>
struct item_of<std::pair<const K, V>> {
    using type = std::pair<K, V>;
};

[[noreturn]] RONDO_API void throw_format(const char* what);

/// Reads a count of elements, each of at least `element_size_min` (>= 1) bytes.
/// Throws: format_error if fewer bytes are left than the elements need.
RONDO_API std::size_t read_count(byte_source& from, std::size_t element_size_min);

}  // namespace detail

template <detail::plain_bytes T>
struct serializer<T> {
    static constexpr bool is_trivial = true;  // many in a row are copied at once
    static void write(const T& value, std::string& to) {
        to.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    static T read(byte_source& from) {
        std::array<std::byte, sizeof(T)> bytes;
        std::memcpy(bytes.data(), from.take(sizeof(T)).data(), sizeof(T));
        return std::bit_cast<T>(bytes);
    }
};

template <>
struct serializer<bool> {
    static void write(bool value, std::string& to) { to.push_back(value ? '\1' : '\0'); }
    static bool read(byte_source& from) {
        const char byte = from.take(1)[0];
        if (byte != '\0' && byte != '\1') detail::throw_format("a bool that is neither 0 nor 1");
        return byte != '\0';
    }
};

template <>
struct serializer<std::string> {
    static void write(const std::string& value, std::string& to) {
        serializer<std::uint64_t>::write(value.size(), to);
        to += value;
    }
    static std::string read(byte_source& from) {
        return std::string(from.take(detail::read_count(from, 1)));
    }
};

template <serializable T>
struct serializer<std::vector<T>> {
    static void write(const std::vector<T>& values, std::string& to) {
        serializer<std::uint64_t>::write(values.size(), to);
        if constexpr (in_one_piece)
            to.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
        else
            for (const T& each : values) serializer<T>::write(each, to);
    }
    static std::vector<T> read(byte_source& from) {
        const std::size_t count = detail::read_count(from, in_one_piece ? sizeof(T) : 1);
        std::vector<T> values;
        if constexpr (in_one_piece) {
            values.resize(count);
            if (count != 0)
                std::memcpy(values.data(), from.take(count * sizeof(T)).data(), count * sizeof(T));
        } else {
            for (std::size_t i = 0; i < count; ++i) values.push_back(serializer<T>::read(from));
        }
        return values;
    }

private:
    static constexpr bool in_one_piece =
        requires { requires serializer<T>::is_trivial; } && std::is_default_constructible_v<T>;
};

template <class T>
    requires serializable<T>
struct serializer<std::optional<T>> {
    static void write(const std::optional<T>& value, std::string& to) {
        serializer<bool>::write(value.has_value(), to);
        if (value) serializer<T>::write(*value, to);
    }
    static std::optional<T> read(byte_source& from) {
        if (!serializer<bool>::read(from)) return std::nullopt;
        return serializer<T>::read(from);
    }
};

template <serializable... T>
struct serializer<std::tuple<T...>> {
    static void write(const std::tuple<T...>& values, std::string& to) {
        if constexpr (sizeof...(T) == 0) to.push_back('\0');
        std::apply([&](const T&... each) { (serializer<T>::write(each, to), ...); }, values);
    }
    static std::tuple<T...> read(byte_source& from) {
        if constexpr (sizeof...(T) == 0) from.take(1);
        return std::tuple<T...>{serializer<T>::read(from)...};  // braces evaluate left to right
    }
};

template <serializable A, serializable B>
struct serializer<std::pair<A, B>> {
    static void write(const std::pair<A, B>& value, std::string& to) {
        serializer<A>::write(value.first, to);
        serializer<B>::write(value.second, to);
    }
    static std::pair<A, B> read(byte_source& from) {
        A first = serializer<A>::read(from);
        return {std::move(first), serializer<B>::read(from)};
    }
};

template <serializable T, std::size_t N>
struct serializer<std::array<T, N>> {
    static constexpr bool is_trivial = N != 0 && requires { requires serializer<T>::is_trivial; };
    static void write(const std::array<T, N>& values, std::string& to) {
        if constexpr (N == 0) to.push_back('\0');
        for (const T& each : values) serializer<T>::write(each, to);
    }
    static std::array<T, N> read(byte_source& from) {
        if constexpr (N == 0) from.take(1);
        return read_each(from, std::make_index_sequence<N>());
    }

private:
    template <std::size_t... I>
    static std::array<T, N> read_each(byte_source& from, std::index_sequence<I...>) {
        return std::array<T, N>{((void)I, serializer<T>::read(from))...};
    }
};

template <serializable... T>
struct serializer<std::variant<T...>> {
    static void write(const std::variant<T...>& value, std::string& to) {
        // The index of a valueless variant is refused by the reader.
        serializer<std::uint64_t>::write(value.index(), to);
        if (!value.valueless_by_exception())
            std::visit([&](const auto& one) { rondo::serialize(one, to); }, value);
    }
    static std::variant<T...> read(byte_source& from) {
        using reader = std::variant<T...> (*)(byte_source&);
        static constexpr auto readers = []<std::size_t... I>(std::index_sequence<I...>) {
            return std::array<reader, sizeof...(T)>{&read_as<I>...};
        }(std::index_sequence_for<T...>());
        const auto index = serializer<std::uint64_t>::read(from);
        if (index >= readers.size()) detail::throw_format("the variant has no such alternative");
        return readers[index](from);
    }

private:
    template <std::size_t I>
    static std::variant<T...> read_as(byte_source& from) {
        using one = std::variant_alternative_t<I, std::variant<T...>>;
        return std::variant<T...>(std::in_place_index<I>, serializer<one>::read(from));
    }
};

template <detail::keyed T>
    requires serializable<typename detail::item_of<typename T::value_type>::type>
struct serializer<T> {
    static void write(const T& all, std::string& to) {
        serializer<std::uint64_t>::write(all.size(), to);
        for (const auto& one : all) {
            if constexpr (requires { typename T::mapped_type; }) {
                rondo::serialize(one.first, to);
                rondo::serialize(one.second, to);
            } else {
                rondo::serialize(one, to);
            }
        }
    }
    static T read(byte_source& from) {
        T all;
        for (std::size_t left = detail::read_count(from, 1); left != 0; --left)
            all.insert(serializer<item>::read(from));
        return all;
    }

private:
    using item = typename detail::item_of<typename T::value_type>::type;
};

}  // namespace v0
}  // namespace rondo
