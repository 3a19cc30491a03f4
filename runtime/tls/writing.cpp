// SPDX-License-Identifier: MIT
// Writing: bytes become records, a slice at a time, and each slice is sent in one write.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "tls/connection.hpp"
#include "tls/spare.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::size_t record_most = 16 * 1024;  // RFC 8446, section 5.1
constexpr std::size_t slice = 4 * record_most;

/// A position in a list of buffers.
class parts_left {
public:
    parts_left(const const_buffer* parts, std::size_t count) noexcept
        : parts_(parts), count_(count) {
        for (std::size_t i = 0; i < count; ++i) left_ += parts[i].size();
        skip_empty();
    }
    std::size_t left() const noexcept { return left_; }
    const_buffer front() const noexcept { return parts_->without_first(at_); }
    bool is_last() const noexcept { return front().size() == left_; }
    void advance(std::size_t count) noexcept {
        at_ += count;
        left_ -= count;
        skip_empty();
    }

private:
    void skip_empty() noexcept {
        while (count_ != 0 && at_ == parts_->size()) {
            ++parts_;
            --count_;
            at_ = 0;
        }
    }
    const const_buffer* parts_;
    std::size_t count_;
    std::size_t at_ = 0;
    std::size_t left_ = 0;
};

void encrypt(tls_connection& c, const_buffer bytes) {
    if (c.engine->write(bytes) == tls_step::done) return;
    std::rethrow_exception(c.keep_failure("send"));
}

/// Small parts share a record: they are copied together first.
std::size_t encrypt_together(tls_connection& c, parts_left& parts) {
    char record[record_most];
    std::size_t size = 0;
    while (size < record_most && parts.left() != 0) {
        const const_buffer front = parts.front();
        const std::size_t count = std::min(front.size(), record_most - size);
        std::memcpy(record + size, front.data(), count);
        size += count;
        parts.advance(count);
    }
    encrypt(c, const_buffer(record, size));
    return size;
}

/// Encrypts up to one slice. Returns: how many bytes.
std::size_t encrypt_slice(tls_connection& c, parts_left& parts) {
    std::size_t done = 0;
    if (parts.left() > tls_connection::receive_least && c.engine->output.empty())
        take_spare(c.engine->output);
    while (done < slice && parts.left() != 0) {
        const const_buffer front = parts.front();
        if (front.size() < record_most && !parts.is_last()) {
            done += encrypt_together(c, parts);
            continue;
        }
        // Whole records, as long as the part is long enough, so that the rest is not copied.
        std::size_t count = std::min(front.size(), slice - std::min(done, slice));
        if (count > record_most) count -= count % record_most;
        encrypt(c, front.first(count));
        parts.advance(count);
        done += count;
    }
    return done;
}

/// Throws if a write may not begin.
void check_writable(tls_connection& c, const char* verb, std::size_t wanted) {
    if (c.failure) std::rethrow_exception(c.failure);
    if (c.send_error != 0)
        throw write_error(std::error_code(c.send_error, std::system_category()),
                          c.titled(verb), 0, wanted);
    if (c.cut || c.broken)
        throw invalid_state_error(c.titled(verb) +
                                  ": an earlier write ended in its middle, so this one would be "
                                  "out of place");
    if (c.said_goodbye)
        throw write_error(std::error_code(EPIPE, std::system_category()),
                          c.titled(verb), 0, wanted);
}

/// Gives large buffers back, since the next write may be far away.
void release_buffers(tls_connection& c, std::size_t written) noexcept {
    if (written <= tls_connection::receive_least || c.sending || !c.engine->output.empty()) return;
    give_spare(c.engine->output);
    give_spare(c.in_flight);
}

task<> write_parts(tls_connection& c, parts_left parts) {
    const std::size_t wanted = parts.left();
    std::size_t gone = 0;
    bool began = false;
    try {
        while (parts.left() != 0) {
            if (c.closed) throw_closed_meanwhile(c, "send");
            began = true;
            const std::size_t count = encrypt_slice(c, parts);
            co_await flush(c);
            gone += count;
        }
    } catch (const tls_error&) {
        throw;
    } catch (const std::system_error& error) {
        c.cut = c.cut || began;
        throw write_error(error.code(), c.titled("send"), gone, wanted);
    } catch (...) {
        c.cut = c.cut || began;
        throw;
    }
    release_buffers(c, wanted);
}

}  // namespace

task<> write_tls(tls_shared self, const const_buffer* parts, std::size_t count) {
    tls_connection& c = *self;
    const tls_turn turn(c, c.writing, "send");
    if (c.phase != tls_connection::phase_t::ready) co_await shake_hands(self);
    const parts_left all(parts, count);
    check_writable(c, "send", all.left());
    co_await write_parts(c, all);
}

task<> end_writing(tls_shared self) {
    tls_connection& c = *self;
    const tls_turn turn(c, c.writing, "shutdown");
    if (c.phase != tls_connection::phase_t::ready) co_await shake_hands(self);
    if (c.said_goodbye) co_return;
    check_writable(c, "shutdown", 0);
    c.engine->say_goodbye();
    c.said_goodbye = true;
    try {
        co_await flush(c);
    } catch (const std::exception&) {
        throw;
    } catch (...) {
        c.cut = true;
        throw;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
