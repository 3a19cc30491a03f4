// SPDX-License-Identifier: MIT
// The stream below a server of HTTP: any duplex stream, with its type erased.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/endpoint.hpp>
#include <rondo/stream.hpp>
#include <rondo/task.hpp>
#include <rondo/tls_stream.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class RONDO_API http_server_stream {
public:
    virtual ~http_server_stream();
    /// The stream itself if it is one of the kernel's: its waits need no frame of their own.
    virtual byte_stream* direct() noexcept { return nullptr; }
    virtual task<chunk> read_some(buffer_view into) = 0;
    /// Writes three buffers, each of which may be empty.
    virtual task<> write_all(const_buffer first, const_buffer second, const_buffer third) = 0;
    virtual task<> shutdown_write() = 0;
    /// Closes it so that the peer does not take it for a normal end.
    virtual void abort() noexcept = 0;
    virtual endpoint remote() const = 0;
    virtual bool is_secure() const noexcept = 0;
    /// The protocol that both sides of TLS agreed on; empty without an agreement.
    virtual std::string_view alpn() const noexcept = 0;
};

// Coroutines of free functions: g++ 12 warns about those of class templates.
template <class S>
task<chunk> read_http_by(S& stream, buffer_view into) {
    co_return co_await stream.read_some(into);
}
template <class S>
task<> write_http_by(S& stream, const_buffer first, const_buffer second, const_buffer third) {
    if constexpr (requires { stream.write_all(first, second, third); }) {
        co_await stream.write_all(first, second, third);
    } else {
        for (const const_buffer part : {first, second, third})
            if (!part.empty()) co_await stream.write_all(part);
    }
}
template <class S>
task<> shutdown_http_by(S& stream) {
    co_await stream.shutdown_write();
}

template <duplex_stream S>
class http_stream_of final : public http_server_stream {
public:
    explicit http_stream_of(S stream) : stream_(std::move(stream)) {}

    byte_stream* direct() noexcept override {
        if constexpr (std::derived_from<S, byte_stream>)
            return &stream_;
        else
            return nullptr;
    }
    task<chunk> read_some(buffer_view into) override { return read_http_by(stream_, into); }
    task<> write_all(const_buffer first, const_buffer second, const_buffer third) override {
        return write_http_by(stream_, first, second, third);
    }
    task<> shutdown_write() override { return shutdown_http_by(stream_); }
    void abort() noexcept override {
        if constexpr (requires { stream_.abort(); })
            stream_.abort();
        else
            static_cast<void>(stream_.close());
    }
    endpoint remote() const override {
        if constexpr (requires { endpoint(stream_.remote()); })
            return stream_.remote();
        else
            return {};
    }
    bool is_secure() const noexcept override { return std::same_as<S, tls_stream>; }
    std::string_view alpn() const noexcept override {
        if constexpr (std::same_as<S, tls_stream>)
            return stream_.alpn();
        else
            return {};
    }

private:
    S stream_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
