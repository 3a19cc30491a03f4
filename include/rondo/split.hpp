// SPDX-License-Identifier: MIT
// Splits a stream into its two directions, for two tasks:
//
//     auto [reader, writer] = rondo::split(std::move(stream));
//
// They share the stream, which is closed when both are destroyed. A writer calls `shutdown_write`
// to end its direction. Its destructor does not: the peer would take every error for a normal end.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// The reading half of a shared stream. Move-only.
template <input_stream S>
class read_half {
public:
    explicit read_half(std::shared_ptr<S> stream) noexcept : stream_(std::move(stream)) {}
    read_half(read_half&&) noexcept = default;
    read_half& operator=(read_half&&) noexcept = default;

    auto read_some(buffer_view into) { return stream_->read_some(into); }
    // The functions below exist if the stream has them.
    template <class... Args>
    auto read_line(Args... args) requires requires(S& s) { s.read_line(args...); }
    {
        return stream_->read_line(args...);
    }
    template <class... Args>
    auto read_until(Args... args) requires requires(S& s) { s.read_until(std::move(args)...); }
    {
        return stream_->read_until(std::move(args)...);
    }
    template <class Amount>
    auto read_exactly(Amount&& amount) requires requires(S& s) { s.read_exactly(amount); }
    {
        return stream_->read_exactly(amount);
    }
    template <class... Args>
    auto read_all(Args... args) requires requires(S& s) { s.read_all(args...); }
    {
        return stream_->read_all(args...);
    }
    template <class... Args>
    auto peek(Args... args) requires requires(S& s) { s.peek(args...); }
    {
        return stream_->peek(args...);
    }
    void unread(const_buffer bytes) requires requires(S& s) { s.unread(bytes); }
    {
        stream_->unread(bytes);
    }

    /// The shared stream.
    S& stream() noexcept { return *stream_; }

private:
    std::shared_ptr<S> stream_;
};

/// The writing half of a shared stream. Move-only.
template <output_stream S>
class write_half {
public:
    explicit write_half(std::shared_ptr<S> stream) noexcept : stream_(std::move(stream)) {}
    write_half(write_half&&) noexcept = default;
    write_half& operator=(write_half&&) noexcept = default;

    template <class... Parts>
    auto write_all(Parts&&... parts) requires requires(S& s) { s.write_all(parts...); }
    {
        return stream_->write_all(parts...);
    }
    auto write_all(const_buffer data) { return stream_->write_all(data); }
    auto shutdown_write() { return stream_->shutdown_write(); }

    /// The shared stream.
    S& stream() noexcept { return *stream_; }

private:
    std::shared_ptr<S> stream_;
};

/// Splits `stream` into a half to read from and a half to write to.
/// See: tokio's into_split; trio.StapledStream is the opposite, it joins two halves.
template <duplex_stream S>
std::pair<read_half<S>, write_half<S>> split(S stream) {
    auto shared = std::make_shared<S>(std::move(stream));
    return {read_half<S>(shared), write_half<S>(shared)};
}

}  // namespace v0
}  // namespace rondo
