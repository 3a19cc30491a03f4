// SPDX-License-Identifier: MIT
// The stream below TLS: any duplex stream, with its type erased.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <utility>

#include <rondo/endpoint.hpp>
#include <rondo/stream.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class RONDO_API tls_transport {
public:
    virtual ~tls_transport();
    /// The stream itself if it is one of the kernel's: its waits need no frame of their own.
    virtual byte_stream* direct() noexcept { return nullptr; }
    virtual task<chunk> read_some(buffer_view into) = 0;
    virtual task<> write_all(const_buffer data) = 0;
    /// As byte_stream::is_quiet; false for a stream that does not know.
    virtual bool is_quiet() const noexcept = 0;
    /// Closes it and waits until it is closed.
    virtual task<> close() = 0;
    /// Closes it. Waits on it end.
    virtual void hang_up() noexcept = 0;
    /// The peer, for errors; may be empty.
    virtual std::string name() const = 0;
    virtual endpoint local() const = 0;
    virtual endpoint remote() const = 0;
};

template <class S>
task<chunk> read_by(S& stream, buffer_view into) {
    co_return co_await stream.read_some(into);
}
template <class S>
task<> write_by(S& stream, const_buffer data) {
    co_await stream.write_all(data);
}
template <class S>
task<> close_by(S& stream) {
    if constexpr (requires { typename awaited<decltype(stream.close())>; }) {
        auto closing = stream.close();
        co_await std::move(closing);
    } else {
        stream.close();
        co_return;
    }
}

template <duplex_stream S>
class stream_transport final : public tls_transport {
public:
    explicit stream_transport(S stream) : stream_(std::move(stream)) {}

    byte_stream* direct() noexcept override {
        if constexpr (std::derived_from<S, byte_stream>)
            return &stream_;
        else
            return nullptr;
    }
    task<chunk> read_some(buffer_view into) override { return read_by(stream_, into); }
    task<> write_all(const_buffer data) override { return write_by(stream_, data); }
    bool is_quiet() const noexcept override {
        if constexpr (requires(const S& s) { s.is_quiet(); })
            return stream_.is_quiet();
        else
            return false;
    }
    task<> close() override { return close_by(stream_); }
    void hang_up() noexcept override { static_cast<void>(stream_.close()); }
    std::string name() const override {
        if constexpr (requires { std::string(stream_.remote().text()); })
            return stream_.remote().text();
        else if constexpr (requires { std::string(stream_.peer_name()); })
            return std::string(stream_.peer_name());
        else
            return {};
    }
    endpoint local() const override {
        if constexpr (requires { endpoint(stream_.local()); })
            return stream_.local();
        else
            return {};
    }
    endpoint remote() const override {
        if constexpr (requires { endpoint(stream_.remote()); })
            return stream_.remote();
        else
            return {};
    }

private:
    S stream_;
};

/// Throws invalid_state_error: the stream has received bytes that TLS would not see.
[[noreturn]] RONDO_API void throw_read_ahead(std::size_t count);

/// Bytes that were received before TLS began do not belong to it. To take them for a part of the
/// protected stream is the error behind the STARTTLS injections (CVE-2011-0411 and many more).
template <class S>
void check_nothing_ahead(const S& stream) {
    if constexpr (std::derived_from<S, byte_stream>) {
        const std::size_t count = stream_access::state(stream)->ahead.size();
        if (count != 0) throw_read_ahead(count);
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
