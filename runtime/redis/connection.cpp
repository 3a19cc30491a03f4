// SPDX-License-Identifier: MIT
// The two tasks of a connection, and its end.
#include "redis/connection.hpp"

#include <rondo/create_task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

redis_connection::redis_connection(std::unique_ptr<tls_transport> stream, std::string name,
                                   redis_limits limits)
    : stream_(std::move(stream)),
      plain_(stream_->direct()),
      name_(std::move(name)),
      limits_(limits),
      replies_(limits.reply_bytes),
      buffer_(std::make_unique_for_overwrite<char[]>(buffer_size)) {}

void redis_connection::start() {
    reading_ = create_task(read_all(shared_from_this()), {.name = "reader of Redis"});
    is_reading_ = true;
}

future<redis::value> redis_connection::send(const redis_words& command) {
    if (!is_reading_) throw redis::connection_error(name_ + ": the connection has ended");
    const std::string head = command.head();
    const std::size_t before = out_.size();
    waiting_.emplace_back();
    try {
        out_.reserve(before + head.size() + command.body().size());
        if (!is_writing_)
            create_task(write_all(shared_from_this()), {.name = "writer of Redis"});
    } catch (...) {
        waiting_.pop_back();
        throw;
    }
    is_writing_ = true;
    out_ += head;
    out_ += command.body();
    if (waiting_.size() == 1) expect_reply();
    return waiting_.back().get_future();
}

/// A server that owes a reply must send something soon.
void redis_connection::expect_reply() {
    if (patience_ == nullptr || limits_.reply <= duration::zero()) return;
    patience_->reschedule(waiting_.empty() ? time_point::max()
                                           : running_loop().time() + limits_.reply);
}

// -- reading -------------------------------------------------------------------------------------
task<> redis_connection::read_all(std::shared_ptr<redis_connection> self) {
    std::string why = "it was closed";
    bool is_protocol_broken = false;
    try {
        co_await self->read_pieces();
        why = "the server closed the connection";
    } catch (const redis::protocol_error& error) {
        is_protocol_broken = true;
        why = error.what();
    } catch (const std::exception& error) {
        why = error.what();
    } catch (...) {  // cancelled: abort(), or the end of the loop
    }
    self->lose(self->broken_.empty() ? why : self->broken_, is_protocol_broken);
}

task<> redis_connection::read_pieces() {
    struct patience : timeout_scope {
        redis_connection& owner;
        explicit patience(redis_connection& o) : timeout_scope(time_point::max()), owner(o) {
            owner.patience_ = this;
        }
        ~patience() { owner.patience_ = nullptr; }
    } scope(*this);
    expect_reply();
    const buffer_view into(buffer_.get(), buffer_size);
    try {
        for (;;) {
            chunk came;
            if (plain_ != nullptr)
                came = co_await plain_->read_some(into);
            else
                came = co_await stream_->read_some(into);
            if (!came) co_return;
            take(came.text());
            expect_reply();
        }
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw redis::connection_error("the server owed replies and sent nothing: " +
                                  std::string(timeout_error(limits_.reply).what()));
}

void redis_connection::take(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::string_view piece = bytes.substr(0, reply_reader::piece);
        bytes.remove_prefix(piece.size());
        replies_.feed(piece);
        while (auto reply = replies_.next()) give(std::move(*reply));
    }
}

void redis_connection::give(redis::value reply) {
    if (waiting_.empty())
        throw redis::protocol_error("the server sent a reply to no command: " +
                                    reply.describe().substr(0, 100));
    promise<redis::value> next = std::move(waiting_.front());
    waiting_.pop_front();
    next.set_value(std::move(reply));  // without effect if the command was cancelled
}

// -- writing -------------------------------------------------------------------------------------
task<> redis_connection::write_all(std::shared_ptr<redis_connection> self) {
    try {
        co_await self->write_pieces();
    } catch (const std::exception& error) {
        self->broken_ = error.what();
        self->reading_.cancel();
    } catch (...) {  // the end of the loop
        self->reading_.cancel();
    }
    self->is_writing_ = false;
}

task<> redis_connection::write_pieces() {
    while (!out_.empty() && is_reading_) {
        std::swap(out_, sending_);
        room_.unpark_all();
        const const_buffer bytes(sending_.data(), sending_.size());
        if (plain_ != nullptr)
            co_await plain_->write_all(bytes);
        else
            co_await stream_->write_all(bytes);
        if (sending_.capacity() > kept_most) sending_ = std::string();
        sending_.clear();
    }
}

// -- ends ----------------------------------------------------------------------------------------
void redis_connection::lose(const std::string& why, bool is_protocol_broken) noexcept {
    is_reading_ = false;
    stream_->hang_up();
    try {
        const std::string text =
            name_ + ": the connection was lost, and the server may have run the command: " + why;
        const auto error = is_protocol_broken
                               ? std::make_exception_ptr(redis::protocol_error(text))
                               : std::make_exception_ptr(redis::connection_lost(text));
        for (auto& each : waiting_) each.set_exception(error);
    } catch (...) {  // no memory for the text: they get that their promise was broken
    }
    waiting_.clear();
    room_.unpark_all();
    ended_.unpark_all();
}

void redis_connection::abort() noexcept {
    if (is_reading_) reading_.cancel();
}

task<> redis_connection::close() {
    const auto self = shared_from_this();
    abort();
    while (is_reading_) co_await ended_.park();
    co_await stream_->close();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
