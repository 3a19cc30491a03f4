// SPDX-License-Identifier: MIT
#include "http/idna.hpp"

#include <memory>

#include <rondo/http/error.hpp>

#ifdef RONDO_WITH_IDN
#include <idn2.h>
#endif

namespace rondo {
inline namespace v0 {
namespace http {

#ifdef RONDO_WITH_IDN

std::string host_to_ascii(std::string_view name) {
    struct release {
        void operator()(std::uint8_t* text) const noexcept { idn2_free(text); }
    };
    const std::string source(name);
    std::uint8_t* found = nullptr;
    const int status = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(source.c_str()), &found,
                                      IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    const std::unique_ptr<std::uint8_t, release> owner(found);
    if (status != IDN2_OK)
        throw url_error(std::string("the host is not an internationalized name: ") +
                        idn2_strerror(status));
    return reinterpret_cast<const char*>(found);
}

#else

std::string host_to_ascii(std::string_view) {
    throw url_error(
        "the host is not ASCII, and librondo-http was built without libidn2 (libidn2-dev)");
}

#endif

}  // namespace http
}  // namespace v0
}  // namespace rondo
