// SPDX-License-Identifier: MIT
// The BIO between OpenSSL and the engine's buffers. OpenSSL reads records straight out of the bytes
// that were received, and puts records straight into the bytes to be sent. A pair of OpenSSL's own
// memory BIOs would copy both once more.
#ifdef RONDO_WITH_OPENSSL
#include <algorithm>
#include <cstring>

#include "tls/engine.hpp"
#include "tls/openssl.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

tls_engine& engine_of(BIO* bio) { return *static_cast<tls_engine*>(BIO_get_data(bio)); }

int read_bytes(BIO* bio, char* into, std::size_t size, std::size_t* count) {
    BIO_clear_retry_flags(bio);
    *count = engine_of(bio).input.take(buffer_view(into, size));
    if (*count != 0) return 1;
    BIO_set_retry_read(bio);
    return 0;
}

int write_bytes(BIO* bio, const char* bytes, std::size_t size, std::size_t* count) {
    BIO_clear_retry_flags(bio);
    *count = 0;
    try {
        read_buffer& output = engine_of(bio).output;
        std::memcpy(output.room(size).data(), bytes, size);
        output.filled(size);
    } catch (...) {  // no memory: OpenSSL reports that the write failed
        return 0;
    }
    *count = size;
    return 1;
}

long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* make_method() {
    BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rondo");
    if (method == nullptr) return nullptr;
    BIO_meth_set_read_ex(method, read_bytes);
    BIO_meth_set_write_ex(method, write_bytes);
    BIO_meth_set_ctrl(method, control);
    return method;
}

}  // namespace

BIO* make_bytes_bio(tls_engine& engine) {
    static BIO_METHOD* const method = make_method();  // never freed, as OpenSSL's own
    BIO* const bio = method != nullptr ? BIO_new(method) : nullptr;
    if (bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, &engine);
    BIO_set_init(bio, 1);
    return bio;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
#endif
