// SPDX-License-Identifier: MIT
// Sends to other processes whatever cereal can serialise: include this beside the headers of cereal for the types in
// question (<cereal/types/memory.hpp> and the like), before anything is sent and before types are registered with
// CEREAL_REGISTER_TYPE; and give classes of one's own a `serialize` as cereal wants it. What serialize.hpp knows by itself
// stays with it.
//
// It is not in <rondo/rondo.hpp>: cereal is a package of its own (libcereal-dev) and dear to parse. The archives are ours:
// cereal's own go through iostreams, and resize containers to whatever size the bytes claim. Ours read where the bytes lie,
// and refuse lists that cannot follow and chains that are nested too deep. For this reason a list of things that take no
// bytes at all cannot be read.
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

/// Appends to a string.
class cereal_writer : public cereal::OutputArchive<cereal_writer, cereal::AllowEmptyClassElision> {
public:
    explicit cereal_writer(std::string& to)
        : cereal::OutputArchive<cereal_writer, cereal::AllowEmptyClassElision>(this), to_(to) {}
    void write(const void* data, std::size_t size) { to_.append(static_cast<const char*>(data), size); }

private:
    std::string& to_;
};

/// Takes from a byte_source.
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
        if (++depth_ > depth_most) throw_format("what cereal wrote is nested too deep");
    }
    void leave() noexcept { --depth_; }

private:
    static constexpr int depth_most = 1000;
    byte_source& from_;
    int depth_ = 0;
};

// Found by cereal because they stand beside the archives.
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
concept only_cereal_knows =
    !plain_bytes<T> && !std::is_pointer_v<T> && !view_like<T> && !keyed<T> && !known_template<T> &&
    std::is_default_constructible_v<T> && cereal::traits::is_output_serializable<T, cereal_writer>::value &&
    cereal::traits::is_input_serializable<T, cereal_reader>::value;

}  // namespace detail

template <detail::only_cereal_knows T>
struct serializer<T> {
    static void write(const T& value, std::string& to) {
        to.push_back('\0');  // there may be no bytes in it
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
        } catch (const std::exception& error) {  // of cereal, or of the type that is made of these bytes
            throw format_error(error.what());
        } catch (...) {
            throw format_error("what cereal read was refused by its type");
        }
    }
};

}  // namespace v0
}  // namespace rondo

CEREAL_REGISTER_ARCHIVE(rondo::detail::cereal_writer)
CEREAL_REGISTER_ARCHIVE(rondo::detail::cereal_reader)
CEREAL_SETUP_ARCHIVE_TRAITS(rondo::detail::cereal_reader, rondo::detail::cereal_writer)
