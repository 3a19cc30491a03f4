// SPDX-License-Identifier: MIT
// Reading and writing streams. A read is exactly one operation. A write is as many operations as
// the kernel needs: if a completion took only a part, `arrived` begins the next operation, and the
// coroutine stays suspended.
#include <rondo/stream.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/view.hpp>

namespace rondo {
inline namespace v0 {

namespace {

std::string failed_write(std::error_code code, std::string_view subject, std::size_t written,
                         std::size_t wanted) {
    return std::string(subject) + ": " + code.message() + " (after " + std::to_string(written) +
           " of " + std::to_string(wanted) + " bytes)";
}

}  // namespace

write_error::write_error(std::error_code code, std::string_view subject, std::size_t written,
                         std::size_t wanted)
    : std::system_error(code),
      text_(failed_write(code, subject, written, wanted)),
      written_(written) {}
write_error::~write_error() = default;

namespace detail {

namespace {

constexpr std::size_t transfer_max = 1u << 30;  // a result is an int
constexpr std::size_t parts_max = 1024;         // IOV_MAX
constexpr std::size_t async_least =
    256 * 1024;  // bytes; a file's write of this size would block the loop for too long

// The list of buffers is passed to the kernel as an array of iovec.
static_assert(sizeof(const_buffer) == sizeof(iovec) && std::is_standard_layout_v<const_buffer>);
static_assert(offsetof(iovec, iov_base) == 0 && sizeof(msghdr) <= 7 * sizeof(std::uint64_t));

}  // namespace

// -- stream_state ---------------------------------------------------------------------------------

stream_state::~stream_state() { delete views; }

const char* stream_state::name() noexcept {
    try {
        if (fd.name().empty()) fd.rename(make_name());
    } catch (...) {
        return "";  // no memory for a name
    }
    return fd.name().c_str();
}

// The name is made before the close: waiters ask for it afterwards, when the kernel has it no more.
void stream_state::close() noexcept {
    if (!fd.is_open()) return;
    if (reading || writing) name();
    fd.close();
}

namespace {

bool loses_connection(int error) noexcept {
    return error == ECONNRESET || error == ECONNABORTED || error == ETIMEDOUT ||
           error == EHOSTUNREACH || error == ENETUNREACH;
}

}  // namespace

void stream_state::failed(int error) noexcept {
    if (loses_connection(error)) lost = error;
}

std::int32_t stream_state::received(std::int32_t result) noexcept {
    if (result < 0) failed(-result);
    return result == 0 ? -lost : result;
}

struct stream_kind {
    static const char* reader(const leaf_wait& wait) {
        return static_cast<const read_awaiter&>(wait).stream_->name();
    }
    static const char* writer(const leaf_wait& wait) {
        return static_cast<const write_awaiter&>(wait).stream_->name();
    }
    static void cancel_read(leaf_wait& wait) noexcept {
        auto& self = static_cast<read_awaiter&>(wait);
        if ((self.state & read_awaiter::on_views) == 0) return cancel_operation(wait);
        if (self.is_refused()) return;
        self.state |= read_awaiter::refused;
        self.stream_->views->forget_waiter();
        detail::wake(wait);
    }
    static constexpr wait_kind recv{"recv", cancel_read, reader};
    static constexpr wait_kind read{"read", cancel_read, reader};
    static constexpr wait_kind send{"send", cancel_operation, writer};
    static constexpr wait_kind write{"write", cancel_operation, writer};
    static constexpr wait_kind write_file{"write", cancel_operation, operation_object};

    static const wait_kind& of_read(const stream_state& s) noexcept {
        return s.reads == opcode::recv ? recv : read;
    }
    static const wait_kind& of_write(const stream_state& s) noexcept {
        return s.writes == opcode::send ? send : write;
    }
};

// -- reading --------------------------------------------------------------------------------------

void throw_second_reader(const char* verb, stream_state& stream) {
    throw invalid_state_error(std::string(verb) + " " + stream.name() +
                              ": another task is reading from this stream");
}
void throw_closed(const char* verb, stream_state& stream) {
    throw closed_error(std::string(verb) + " " + stream.name() + ": this stream was closed");
}
void throw_second_writer(const char* verb, stream_state& stream) {
    throw invalid_state_error(std::string(verb) + " " + stream.name() +
                              ": another task is writing to this stream");
}
void throw_torn(const char* verb, stream_state& stream) {
    throw invalid_state_error(std::string(verb) + " " + stream.name() +
                              ": an earlier write ended in its middle, so this one would be "
                              "out of place");
}

read_awaiter::read_awaiter(held<> stream, buffer_view into) noexcept
    : operation_state(stream_kind::of_read(*stream), stream->fd.record(), {}),
      stream_(std::move(stream)),
      into_(into) {
    request.code = stream_->reads;
    request.address = address_of(into_.data());
    request.length = static_cast<std::uint32_t>(std::min(into_.size(), transfer_max));
    if (request.code == opcode::read) read_at_position();
}

void read_awaiter::read_at_position() noexcept {
    request.offset = ~std::uint64_t{0};
    if (!note_position(*on)) return;
    on_completion = [](operation_state& done) noexcept {
        const auto count = static_cast<std::uint32_t>(done.result);
        if (done.result > 0 && count < done.request.length) mend_position(*done.on, done.result);
        detail::wake(static_cast<leaf_wait&>(done));
    };
}

read_awaiter::~read_awaiter() { let_go(); }

void read_awaiter::let_go() noexcept {
    if ((state & ours) != 0) stream_->reading = false;
    state &= ~ours;
}

bool read_awaiter::await_ready() noexcept {
    if (is_cancelled())
        state |= refused;
    else if (stream_->reading)
        state |= busy;
    if ((state & (refused | busy)) != 0) return (state & busy) != 0 || may_go_on();
    if ((state & bypass) == 0 && !stream_->ahead.empty()) request.length = 0;
    if (stream_->views != nullptr && request.length != 0) [[unlikely]]
        if (stream_->views->armed() || stream_->views->available()) state |= on_views;
    if (!has_come()) return false;
    if (may_go_on()) return true;
    state |= put_off;
    return false;
}

/// True if the read can be served without the kernel.
bool read_awaiter::has_come() const noexcept {
    return request.length == 0 || ((state & on_views) != 0 && stream_->views->available());
}

/// Suspends a wait that is ready or refused, since many in a row were, so that other tasks run.
void read_awaiter::run_others_first(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (is_refused()) return requeue(*this);
    stream_->reading = true;
    state |= ours;
    detail::wake(static_cast<leaf_wait&>(*this));
}

void read_awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    if ((state & (refused | put_off)) != 0) [[unlikely]]
        return run_others_first(frame, at);
    stream_->reading = true;
    state |= ours;
    park(*this, frame, at);
    if ((state & on_views) != 0)
        stream_->views->wait(*this);
    else
        begin(*this);
}

void read_awaiter::check() {
    let_go();
    if (is_refused()) throw cancelled();
    if ((state & busy) != 0) throw_second_reader(kind->what, *stream_);
    if (is_cancelled() && has_lost_race()) [[unlikely]]
        leave_to_next_read();
    if ((state & on_views) != 0) result = stream_->views->copy_to(into_);
}

/// In a lost race: bytes that have come stay readable, and a lost connection or an end is reported
/// again. Other errors are reported by this read.
void read_awaiter::leave_to_next_read() {
    if (request.length != 0 && (state & on_views) == 0) {
        if (result > 0) stream_->ahead.append(into_.first(static_cast<std::size_t>(result)));
        if (result <= 0) finish();
        if (result < 0 && result != -ECANCELED && result != -stream_->lost) return;
    }
    throw cancelled();
}

chunk read_awaiter::filled() noexcept {
    if (request.length != 0)
        return result == 0 ? chunk() : chunk(into_.first(static_cast<std::size_t>(result)));
    return chunk(into_.first(stream_->ahead.take(into_)));
}

/// With a length of 0 the kernel was not asked.
void read_awaiter::finish() noexcept {
    if (request.length != 0) result = stream_->received(result);
}

chunk read_awaiter::await_resume() {
    check();
    if (result <= 0) [[unlikely]] {
        finish();
        if (result == -EBADF && !stream_->fd.is_open()) throw_closed(kind->what, *stream_);
        if (result < 0) throw_failed(*this);
    }
    return filled();
}

rondo::result<chunk> read_result_awaiter::await_resume() {
    check();
    if (result <= 0) [[unlikely]]
        finish();
    if (result >= 0) return filled();
    if (result == -ECANCELED && is_cancelled()) throw cancelled();
    return std::error_code(-result, std::system_category());
}

// -- writing --------------------------------------------------------------------------------------

write_awaiter::write_awaiter(held<> stream, const_buffer* parts, std::size_t count,
                             void* message) noexcept
    : operation_state(stream_kind::of_write(*stream), stream->fd.record(), {}),
      stream_(std::move(stream)),
      parts_(parts),
      count_(count),
      message_(message) {
    request.code = stream_->writes;
    on_completion = part_sent;
}

write_awaiter::write_awaiter(descriptor_record* file, const_buffer* parts, std::size_t count,
                             std::uint64_t offset) noexcept
    : operation_state(stream_kind::write_file, file, {}),
      parts_(parts),
      count_(count),
      message_(nullptr) {
    request.code = opcode::write;
    request.offset = offset;
    on_completion = part_sent;
}

void write_awaiter::count_bytes() noexcept {
    for (std::size_t i = 0; i < count_; ++i) wanted_ += parts_[i].size();
    left_ = wanted_;
}

write_awaiter::~write_awaiter() { let_go(); }

void write_awaiter::let_go() noexcept {
    if ((state & ours) != 0) stream_->writing = false;
    state &= ~ours;
}

bool write_awaiter::await_ready() noexcept {
    if (is_cancelled())
        state |= refused;
    else if (stream_ && stream_->writing)
        state |= busy;
    else if (stream_ && stream_->torn)
        state |= was_torn;
    if ((state & (refused | busy | was_torn)) != 0) return (state & refused) == 0 || may_go_on();
    if (left_ != 0) return false;
    if (may_go_on()) return true;
    state |= put_off;
    return false;
}

/// Suspends a write of no bytes, or a refused one, since many in a row were ready. Other tasks may
/// write meanwhile.
void write_awaiter::run_others_first(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (is_refused()) return requeue(*this);
    detail::wake(static_cast<leaf_wait&>(*this));
}

void write_awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    if ((state & (refused | put_off)) != 0) [[unlikely]]
        return run_others_first(frame, at);
    if (stream_) {
        stream_->writing = true;
        state |= ours;
    }
    park(*this, frame, at);
    prepare();
    begin(*this);
}

// Prepares the next operation for the bytes that are left, in one part or in several.
void write_awaiter::prepare() noexcept {
    while (parts_->empty()) {
        ++parts_;
        --count_;
    }
    const bool several = count_ > 1;
    bool slow = false;
    if (request.code == opcode::send || request.code == opcode::sendmsg) {
        request.code = several ? opcode::sendmsg : opcode::send;
        request.op_flags = MSG_NOSIGNAL;
    } else {
        request.code = several ? opcode::writev : opcode::write;
        if (stream_) request.offset = ~std::uint64_t{0};
        if (at_position()) note_position(*on);
        slow = has_slow_writes(*on);
    }
    const auto count = static_cast<std::uint32_t>(std::min(count_, parts_max));
    request.address = several ? address_of(parts_) : address_of(parts_->data());
    request.length =
        several ? count : static_cast<std::uint32_t>(std::min(parts_->size(), transfer_max));
    if (request.code == opcode::sendmsg) {
        msghdr message{};
        message.msg_iov = reinterpret_cast<iovec*>(parts_);
        message.msg_iovlen = count;
        std::memcpy(message_, &message, sizeof message);
        request.address = address_of(message_);
        request.length = 1;
    }
    const bool large = !stream_ && (several ? left_ : request.length) >= async_least;
    request.flags = large || slow ? std::uint8_t{entry_async} : std::uint8_t{0};
}

/// True if the transfer begins at the position that the kernel keeps.
bool write_awaiter::at_position() const noexcept { return request.offset == ~std::uint64_t{0}; }

void write_awaiter::advance(std::size_t count) noexcept {
    left_ -= count;
    if (!stream_ && !at_position()) request.offset += count;
    if (left_ != 0 && at_position()) mend_position(*on, static_cast<std::int64_t>(count));
    while (count != 0) {
        const std::size_t step = std::min(count, parts_->size());
        *parts_ = parts_->without_first(step);
        count -= step;
        if (count == 0) return;
        ++parts_;
        --count_;
    }
}

void write_awaiter::part_sent(operation_state& operation) noexcept {
    auto& self = static_cast<write_awaiter&>(operation);
    if (self.result > 0) self.advance(static_cast<std::size_t>(self.result));
    if (self.left_ == 0 || self.result <= 0 || self.task->cancel_requested())
        return detail::wake(static_cast<leaf_wait&>(self));
    self.prepare();
    begin(self);
}

void write_awaiter::await_resume() {
    let_go();
    if (is_refused()) throw cancelled();
    if ((state & busy) != 0) throw_second_writer(kind->what, *stream_);
    if ((state & was_torn) != 0) throw_torn(kind->what, *stream_);
    if (left_ == 0) return;
    if (stream_ && left_ != wanted_) stream_->torn = true;
    if ((result >= 0 || result == -ECANCELED) && is_cancelled()) throw cancelled();
    if (stream_) stream_->failed(-result);
    if (result == -EBADF && stream_ && !stream_->fd.is_open()) throw_closed(kind->what, *stream_);
    fail_with(result < 0 ? -result : EIO);  // the kernel took no byte and gave no error
}

void write_awaiter::fail_with(int error) {
    const std::string subject = std::string(kind->what) + " " + kind->object(*this);
    throw write_error(std::error_code(error, std::system_category()), subject, wanted_ - left_,
                      wanted_);
}

}  // namespace detail

bool byte_stream::is_quiet() const noexcept {
    return is_open() && state_->ahead.empty() && state_->lost == 0 && state_->views == nullptr &&
           detail::poll_now(state_->fd) == 0;
}

detail::closing byte_stream::close() noexcept {
    if (!state_) return detail::closing(nullptr);
    state_->close();
    return state_->fd.close();
}

}  // namespace v0
}  // namespace rondo
