// SPDX-License-Identifier: MIT
// Makes every type that cereal can serialise serializable for rondo, so that it can be sent to
// other processes. Include this header beside cereal's header for the type
// (<cereal/types/memory.hpp> and the like), before anything is sent and before
// CEREAL_REGISTER_TYPE. Give your own classes a `serialize` member as cereal expects it. Types that
// serialize.hpp serializes keep that format.
//
// It is not in <rondo/rondo.hpp>, since cereal is a package of its own (libcereal-dev) and slow to
// parse. The archives are rondo's: cereal's go through iostreams and resize containers to any size
// that the bytes claim. These read in place, and refuse counts that exceed the bytes left and
// values nested more than 1000 deep. So a list whose elements take no bytes cannot be read.
#pragma once

#include <cereal/cereal.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include <rondo/serialize.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// An output archive of cereal that appends to a string.
class cereal_writer : public cereal::OutputArchive<cereal_writer, cereal::AllowEmptyClassElision> {
public:
    explicit cereal_writer(std::string& to)
        : cereal::OutputArchive<cereal_writer, cereal::AllowEmptyClassElision>(this), to_(to) {}
    void write(const void* data, std::size_t size) {
        to_.append(static_cast<const char*>(data), size);
    }

private:
    std::string& to_;
};

/// An input archive of cereal that reads from a byte_source.
class cereal_reader : public cereal::InputArchive<cereal_reader, cereal::AllowEmptyClassElision> {
public:
    explicit cereal_reader(byte_source& from)
        : cereal::InputArchive<cereal_reader, cereal::AllowEmptyClassElision>(this), from_(from) {}
    void read(void* data, std::size_t size) {
        const std::string_view taken = from_.take(size);
        if (size != 0) std::memcpy(data, taken.data(), size);
    }
    std::size_t read_count() { return detail::read_count(from_, 1); }

    void enter() {
        if (++depth_ > depth_max) throw_format("the value for cereal is nested too deeply");
    }
    void leave() noexcept { --depth_; }

private:
    static constexpr int depth_max = 1000;
    byte_source& from_;
    int depth_ = 0;
};

// cereal finds these by argument-dependent lookup: they are in the namespace of the archives.
template <class T>
void prologue(cereal_reader& from, const T&) {
    from.enter();
}
template <class T>
void epilogue(cereal_reader& from, const T&) {
    from.leave();
}

template <class T>
    requires(std::is_arithmetic_v<T>)
void save(cereal_writer& to, const T& value) {
    to.write(&value, sizeof value);
}
template <class T>
    requires(std::is_arithmetic_v<T>)
void load(cereal_reader& from, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        unsigned char byte = 0;
        from.read(&byte, 1);
        if (byte > 1) throw_format("a bool that is neither 0 nor 1");
        value = byte != 0;
    } else {
        from.read(&value, sizeof value);
    }
}

template <class T>
void save(cereal_writer& to, const cereal::NameValuePair<T>& pair) {
    to(pair.value);
}
template <class T>
void load(cereal_reader& from, cereal::NameValuePair<T>& pair) {
    from(pair.value);
}

template <class T>
void save(cereal_writer& to, const cereal::SizeTag<T>& tag) {
    to(static_cast<std::uint64_t>(tag.size));
}
template <class T>
void load(cereal_reader& from, cereal::SizeTag<T>& tag) {
    tag.size = static_cast<std::remove_reference_t<T>>(from.read_count());
}

template <class T>
void save(cereal_writer& to, const cereal::BinaryData<T>& data) {
    to.write(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void load(cereal_reader& from, cereal::BinaryData<T>& data) {
    from.read(data.data, static_cast<std::size_t>(data.size));
}

template <class T>
concept cereal_only =
    !plain_bytes<T> && !std::is_pointer_v<T> && !view_like<T> && !keyed<T> && !known_template<T> &&
    std::is_default_constructible_v<T> &&
    cereal::traits::is_output_serializable<T, cereal_writer>::value &&
    cereal::traits::is_input_serializable<T, cereal_reader>::value;

}  // namespace detail

template <detail::cereal_only T>
struct serializer<T> {
    static void write(const T& value, std::string& to) {
        to.push_back('\0');  // a serializer writes at least one byte, and cereal may write none
        detail::cereal_writer archive(to);
        archive(value);
    }
    static T read(byte_source& from) {
        from.take(1);
        try {
            detail::cereal_reader archive(from);
            T value{};
            archive(value);
            return value;
        } catch (const format_error&) {
            throw;
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception& error) {  // from cereal, or from a constructor of the type
            throw format_error(error.what());
        } catch (...) {
            throw format_error("a type refused the values that cereal read");
        }
    }
};

}  // namespace v0
}  // namespace rondo

CEREAL_REGISTER_ARCHIVE(rondo::detail::cereal_writer)
CEREAL_REGISTER_ARCHIVE(rondo::detail::cereal_reader)
CEREAL_SETUP_ARCHIVE_TRAITS(rondo::detail::cereal_reader, rondo::detail::cereal_writer)
