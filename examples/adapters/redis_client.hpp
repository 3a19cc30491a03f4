// SPDX-License-Identifier: MIT
// Redis inside rondo: hiredis' asynchronous context, attached to the loop by its hooks.
//
// Commands of several tasks are sent in the order of the calls, and the replies come in that order.
// So a `gather` of commands is pipelined.
#pragma once

#include <hiredis/async.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <rondo/rondo.hpp>

#include "redis_value.hpp"

/// One connection. Make and destroy it on its loop's thread. It must outlive its commands.
class redis_client {
public:
    redis_client() = default;
    redis_client(redis_client&&) = delete;
    ~redis_client() { close(); }

    /// Connects to an address and port, or to the path of a Unix socket (port 0). hiredis blocks
    /// while it looks up a host name, so use a numeric address.
    /// Throws: redis_error.
    /// Cancel: closes the connection.
    rondo::task<> connect(std::string where, int port = 0) {
        if (rondo::cancel_requested()) throw rondo::cancelled();
        attach(port != 0 ? redisAsyncConnect(where.c_str(), port)
                         : redisAsyncConnectUnix(where.c_str()));
        auto result = connecting_->get_future();
        try {
            co_await result;
        } catch (const rondo::cancelled&) {
            if (result.done() && !result.cancelled() && context_ != nullptr) co_return;
            close();
            throw;
        }
    }

    /// Sends a command and returns its reply: `co_await redis.command("SET", "key", value)`.
    /// Throws: redis_error for an error reply, or if the connection is lost or closed;
    ///         std::invalid_argument for commands with more than one reply (SUBSCRIBE ...).
    /// Cancel: leaves at once. The server executes a command that was sent; its reply is dropped
    ///         when it comes, without mixing up other replies. A reply that has come is returned.
    template <class... Words>
    rondo::task<redis_value> command(const Words&... words) {
        return run(std::vector<std::string>{std::string(words)...});
    }
    rondo::task<redis_value> run(std::vector<std::string> words) {
        if (rondo::cancel_requested()) throw rondo::cancelled();
        if (!has_one_reply(words))
            throw std::invalid_argument("command: only commands with one reply can be sent");
        if (context_ == nullptr) throw redis_error("command: the connection is closed");
        std::vector<const char*> starts;
        std::vector<std::size_t> sizes;
        for (const std::string& word : words)
            starts.push_back(word.data()), sizes.push_back(word.size());
        auto answer = std::make_unique<rondo::promise<redis_value>>();
        auto reply = answer->get_future();
        const int count = static_cast<int>(words.size());
        if (redisAsyncCommandArgv(context_, &on_reply, answer.get(), count, starts.data(),
                                  sizes.data()) != REDIS_OK)
            throw redis_error("command: the connection is closed");
        static_cast<void>(answer.release());  // now owned by on_reply, which hiredis always calls
        try {
            co_await reply;
        } catch (const rondo::cancelled&) {
            if (!reply.done() || reply.cancelled()) throw;  // otherwise the reply has come
        }
        co_return reply.result();
    }

    /// Closes the connection. Commands that wait for a reply throw redis_error.
    void close() noexcept {
        if (context_ != nullptr) redisAsyncFree(std::exchange(context_, nullptr));
    }

private:
    void attach(redisAsyncContext* fresh) {
        close();
        if (fresh == nullptr) throw std::bad_alloc();
        if (fresh->err != 0) {
            const redis_error why("connect: " + std::string(fresh->errstr));
            redisAsyncFree(fresh);
            throw why;
        }
        connecting_.emplace();
        context_ = fresh;
        number_ = fresh->c.fd;
        fresh->data = fresh->ev.data = this;
        fresh->ev.addRead = [](void* self) noexcept { of(self).watch(true, of(self).writes_); };
        fresh->ev.delRead = [](void* self) noexcept { of(self).watch(false, of(self).writes_); };
        fresh->ev.addWrite = [](void* self) noexcept { of(self).watch(of(self).reads_, true); };
        fresh->ev.delWrite = [](void* self) noexcept { of(self).watch(of(self).reads_, false); };
        fresh->ev.cleanup = [](void* self) noexcept {  // before hiredis closes and frees
            of(self).watch(false, false);
            of(self).context_ = nullptr;
        };
        redisAsyncSetConnectCallback(
            fresh, [](const redisAsyncContext* context, int status) noexcept {
                auto& result = *of(context->data).connecting_;
                if (result.done()) return;  // connect was cancelled
                if (status == REDIS_OK)
                    result.set_value();
                else
                    result.set_exception(std::make_exception_ptr(
                        redis_error(std::string("connect: ") + context->errstr)));
            });
    }

    static redis_client& of(void* self) noexcept { return *static_cast<redis_client*>(self); }

    /// Watches the socket for these directions. hiredis often repeats the same request.
    void watch(bool reads, bool writes) noexcept {
        try {
            if (reads && !reads_)
                loop_.add_reader(number_, [this] { redisAsyncHandleRead(context_); });
            if (writes && !writes_)
                loop_.add_writer(number_, [this] { redisAsyncHandleWrite(context_); });
        } catch (...) {
            loop_.call_exception_handler(
                {"watching a socket for hiredis", std::current_exception()});
        }
        if (!reads && reads_) loop_.remove_reader(number_);
        if (!writes && writes_) loop_.remove_writer(number_);
        reads_ = reads;
        writes_ = writes;
    }

    /// `reply` is null if the connection has ended.
    static void on_reply(redisAsyncContext* context, void* reply, void* promise) noexcept {
        const std::unique_ptr<rondo::promise<redis_value>> answer(
            static_cast<rondo::promise<redis_value>*>(promise));
        if (answer->done()) return;  // its waiter was cancelled
        try {
            if (reply == nullptr)
                throw redis_error(std::string("command: ") +
                                  (context->err != 0 ? context->errstr : "closed"));
            redis_value value(*static_cast<redisReply*>(reply));
            if (value.kind == REDIS_REPLY_ERROR) throw redis_error(value.text);
            answer->set_value(std::move(value));
        } catch (...) {
            answer->set_exception(std::current_exception());
        }
    }

    rondo::loop& loop_ = rondo::running_loop();
    redisAsyncContext* context_ = nullptr;
    std::optional<rondo::promise<>> connecting_;
    int number_ = -1;
    bool reads_ = false, writes_ = false;
};
