// SPDX-License-Identifier: MIT
// A connection of the server's that switches from HTTP/1.1 to another protocol.
#include <utility>

#include <rondo/cancel.hpp>

#include "http/h1/encoder.hpp"
#include "http/server/h1_connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// The bytes of the connection. The task that reads them is the connection's.
class server_transport final : public http_transport {
public:
    server_transport(http_server_stream& stream, http_input& input) noexcept
        : stream_(stream), direct_(stream.direct()), input_(input) {}

    task<std::string_view> read() override {
        if (std::exchange(is_taken_, false) || input_.unread.empty()) input_.release();
        while (!input_.is_ready()) co_await input_.wait();
        const std::string_view came = input_.unread;
        input_.unread.remove_prefix(came.size());
        is_taken_ = true;
        co_return came;
    }
    task<> write(const_buffer bytes) override {
        if (direct_ != nullptr)
            co_await direct_->write_all(bytes);
        else
            co_await stream_.write_all(bytes, {}, {});
    }
    task<> shutdown_write() override { return stream_.shutdown_write(); }
    task<> close() override { return stream_.shutdown_write(); }  // the connection closes it
    void abort() noexcept override { stream_.abort(); }

private:
    http_server_stream& stream_;
    byte_stream* direct_;
    http_input& input_;
    bool is_taken_ = false;
};

/// A transport while the connection knows it.
class listed_transport {
public:
    listed_transport(http_transport*& place, http_transport& which) noexcept : place_(place) {
        place_ = &which;
    }
    listed_transport(const listed_transport&) = delete;
    ~listed_transport() { place_ = nullptr; }

private:
    http_transport*& place_;
};

}  // namespace

task<> h1_server_connection::upgrade(http::reply& reply) {
    keep_ = false;
    out_.clear();
    http::h1::write_response_head(out_, reply.status(), {}, reply.headers(),
                                  http::h1::body_length::none());
    co_await write(out_);
    out_ = std::string();
    server_transport transport(*stream_, link_->input);
    const listed_transport listed(upgraded_, transport);
    std::exception_ptr error;
    try {
        auto speaking = reply.source()->upgrade(transport);
        co_await std::move(speaking);
    } catch (const cancelled&) {
        throw;
    } catch (...) {
        error = std::current_exception();
    }
    if (error) report(std::move(error));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
