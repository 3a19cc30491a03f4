// SPDX-License-Identifier: MIT
// The objects that hiredis' parser makes, and the bounds of a reply.
#include "redis/reply_reader.hpp"

#include <algorithm>
#include <new>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::size_t element_bytes = 64;
constexpr std::size_t line_bytes = std::size_t{64} * 1024;  // of a status, an error or a number
constexpr std::size_t digits_most = 32;                     // of the size of a text

}  // namespace

/// Called by C: nothing may throw. Null makes the parser give up.
struct reply_reader::objects {
    template <class... Args>
    static void* place(const redisReadTask* task, std::size_t bytes, Args&&... args) noexcept {
        auto& self = *static_cast<reply_reader*>(task->privdata);
        bytes = std::max(bytes, element_bytes);
        if (bytes > self.left_) {
            self.is_too_large_ = true;
            return nullptr;
        }
        self.left_ -= bytes;
        try {
            if (task->parent == nullptr) return &self.root_.emplace(std::forward<Args>(args)...);
            // Elements come in order, each with all of its own elements. So the list moves only
            // elements that are complete.
            auto& parent = *static_cast<redis::value*>(task->parent->obj);
            return &std::get<std::vector<redis::value>>(parent.content_)
                        .emplace_back(std::forward<Args>(args)...);
        } catch (...) {
            return nullptr;
        }
    }
    static void* text(const redisReadTask* task, char* bytes, std::size_t size) noexcept {
        const auto kind = task->type == REDIS_REPLY_STATUS  ? redis::value_kind::status
                          : task->type == REDIS_REPLY_ERROR ? redis::value_kind::error
                                                            : redis::value_kind::text;
        try {
            return place(task, size, std::string(bytes, size), kind);
        } catch (...) {
            return nullptr;
        }
    }
    static void* list(const redisReadTask* task, int) noexcept {
        // Its size is the peer's word: the list grows with the elements that come.
        return place(task, 0, std::vector<redis::value>());
    }
    static void* number(const redisReadTask* task, long long number) noexcept {
        return place(task, 0, number);
    }
    static void* nil(const redisReadTask* task) noexcept { return place(task, 0); }
    static void keep(void*) noexcept {}  // the reader owns the root
};

redisReplyObjectFunctions reply_reader::functions_ = {objects::text, objects::list,
                                                      objects::number, objects::nil,
                                                      objects::keep};

reply_reader::reply_reader(std::size_t bytes_max)
    : reader_(redisReaderCreateWithFunctions(&functions_)),
      bytes_max_(bytes_max),
      left_(bytes_max) {
    if (!reader_) throw std::bad_alloc();
    reader_->privdata = this;
}

void reply_reader::feed(std::string_view bytes) {
    if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) throw_broken();
}

std::optional<redis::value> reply_reader::next() {
    void* whole = nullptr;
    if (redisReaderGetReply(reader_.get(), &whole) != REDIS_OK) throw_broken();
    if (whole == nullptr) {
        check_rest();
        return std::nullopt;
    }
    left_ = bytes_max_;
    return std::exchange(root_, std::nullopt);
}

void reply_reader::throw_broken() const {
    if (is_too_large_)
        throw redis::protocol_error("a reply has more than " + std::to_string(bytes_max_) +
                                    " bytes");
    if (reader_->err == REDIS_ERR_OOM) throw std::bad_alloc();
    throw redis::protocol_error(std::string("the server broke the protocol: ") +
                                reader_->errstr);
}

/// Bounds what waits for its end: hiredis would look through all of it again with each piece.
void reply_reader::check_rest() const {
    const std::string_view rest(reader_->buf + reader_->pos, reader_->len - reader_->pos);
    if (rest.size() <= digits_most || reader_->ridx < 0) return;
    const bool is_line = reader_->rstack[reader_->ridx].type != REDIS_REPLY_STRING;
    const std::size_t most = is_line ? line_bytes : left_ + digits_most;
    if (rest.size() > most || (!is_line && rest.substr(0, digits_most).find('\n') > digits_most))
        throw redis::protocol_error(
            is_line ? "the server sent a line without an end"
                    : "a reply has more than " + std::to_string(bytes_max_) + " bytes");
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
