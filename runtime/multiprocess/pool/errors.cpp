// SPDX-License-Identifier: MIT
// The table of known exception types, and how an exception is made again from its text.
#include "multiprocess/pool/errors.hpp"

#include <cxxabi.h>

#include <any>
#include <cstdlib>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <typeinfo>
#include <variant>

#include "multiprocess/pool/frame.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

template <class E>
std::exception_ptr with_text(const std::string& text) {
    return std::make_exception_ptr(E(text));
}
template <class E>
std::exception_ptr without_text(const std::string&) {
    return std::make_exception_ptr(E());
}

/// A timeout_error with the text of the original; timeout_error itself makes its own text.
class remote_timeout_error : public timeout_error {
public:
    explicit remote_timeout_error(const std::string& text) : text_(text) {}
    const char* what() const noexcept override { return text_.what(); }

private:
    std::runtime_error text_;
};

struct known_exception {
    const std::type_info& type;
    std::exception_ptr (*make)(const std::string& text);
};

/// A frame has the index in this table. Only exact types match: a derived class has more than text.
const known_exception known[] = {
    {typeid(std::runtime_error), with_text<std::runtime_error>},
    {typeid(std::logic_error), with_text<std::logic_error>},
    {typeid(std::invalid_argument), with_text<std::invalid_argument>},
    {typeid(std::out_of_range), with_text<std::out_of_range>},
    {typeid(std::domain_error), with_text<std::domain_error>},
    {typeid(std::length_error), with_text<std::length_error>},
    {typeid(std::range_error), with_text<std::range_error>},
    {typeid(std::overflow_error), with_text<std::overflow_error>},
    {typeid(std::underflow_error), with_text<std::underflow_error>},
    {typeid(std::bad_alloc), without_text<std::bad_alloc>},
    {typeid(std::bad_array_new_length), without_text<std::bad_array_new_length>},
    {typeid(std::bad_cast), without_text<std::bad_cast>},
    {typeid(std::bad_any_cast), without_text<std::bad_any_cast>},
    {typeid(std::bad_optional_access), without_text<std::bad_optional_access>},
    {typeid(std::bad_variant_access), without_text<std::bad_variant_access>},
    {typeid(std::exception), without_text<std::exception>},
    {typeid(error), with_text<error>},
    {typeid(limit_error), with_text<limit_error>},
    {typeid(invalid_state_error), with_text<invalid_state_error>},
    {typeid(closed_error), with_text<closed_error>},
    {typeid(format_error), with_text<format_error>},
    {typeid(timeout_error), with_text<remote_timeout_error>},
    {typeid(future_cancelled), with_text<future_cancelled>},
    {typeid(broken_pool_error), with_text<broken_pool_error>},
    {typeid(broken_process_pool_error), with_text<broken_process_pool_error>},
};

// Kinds of packed exceptions: an index of the table, a std::system_error, any other type.
enum : std::uint64_t { by_table = 1, with_code, other };

constexpr std::size_t text_max = 64 * 1024;  // bytes; a longer text of an exception is cut

std::string name_of(const std::type_info& type) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(
        abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
    return name ? name.get() : type.name();
}

const std::error_category* category_named(std::string_view name) noexcept {
    const std::error_category* const all[] = {&std::system_category(), &std::generic_category(),
                                              &std::iostream_category()};
    for (const auto* one : all)
        if (name == one->name()) return one;
    return nullptr;
}

/// Removes the meaning of `code` from the end of `text`: the new system_error appends it again.
std::string_view without_meaning(std::string_view text, const std::error_code& code) {
    const std::string meaning = code.message();
    if (text == meaning) return {};
    if (text.ends_with(": " + meaning)) text.remove_suffix(meaning.size() + 2);
    return text;
}

void pack_other(word_writer& to, const std::string& type, std::string_view text) {
    to.number(other);
    to.text(type);
    to.text(text.substr(0, text_max));
}

void pack_standard(word_writer& to, const std::exception& error) {
    const std::string_view text = error.what();
    for (std::size_t i = 0; i < std::size(known); ++i) {
        if (typeid(error) != known[i].type) continue;
        to.number(by_table);
        to.number(i);
        return to.text(text.substr(0, text_max));
    }
    const auto* coded = dynamic_cast<const std::system_error*>(&error);
    if (coded == nullptr || typeid(error) != typeid(std::system_error) ||
        category_named(coded->code().category().name()) == nullptr)
        return pack_other(to, name_of(typeid(error)), text);
    to.number(with_code);
    to.number(static_cast<std::uint64_t>(coded->code().value()));
    to.text(coded->code().category().name());
    to.text(without_meaning(text, coded->code()).substr(0, text_max));
}

std::exception_ptr unpack_coded(word_reader& from) {
    const auto value = static_cast<int>(from.number());
    const auto* category = category_named(from.text());
    if (category == nullptr) throw frame_error("a packed error has an unknown category");
    const std::string text(from.text());
    const std::error_code code(value, *category);
    return std::make_exception_ptr(text.empty() ? std::system_error(code)
                                                : std::system_error(code, text));
}

}  // namespace

std::string pack_current_exception() {
    std::string bytes;
    word_writer to(bytes);
    try {
        throw;
    } catch (const std::exception& error) {
        pack_standard(to, error);
    } catch (...) {
        const std::type_info* const type = abi::__cxa_current_exception_type();
        const std::string name =
            type != nullptr ? name_of(*type) : "an exception of another language";
        pack_other(to, name, "not a std::exception");
    }
    return bytes;
}

std::string pack_exception(const std::exception& error) {
    std::string bytes;
    word_writer to(bytes);
    pack_standard(to, error);
    return bytes;
}

std::exception_ptr unpack_exception(std::string_view bytes) {
    word_reader from(bytes);
    switch (from.number()) {
        case by_table: {
            const std::uint64_t place = from.number();
            if (place >= std::size(known))
                throw frame_error("a packed exception has an unknown type");
            return known[place].make(std::string(from.text()));
        }
        case with_code:
            return unpack_coded(from);
        case other: {
            const std::string type(from.text());
            return std::make_exception_ptr(remote_error(type, std::string(from.text())));
        }
        default:
            throw frame_error("a packed exception has an unknown kind");
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
