// SPDX-License-Identifier: MIT
// Callbacks for descriptors of other libraries, which expect level-triggered events: a one-shot
// poll, made again after each callback, reports what is still there.
#include "loop/loop_watch.hpp"

#include <poll.h>

#include <string>

#include "loop/loop_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr auto reader_kind = operation_kind("add_reader");
constexpr auto writer_kind = operation_kind("add_writer");

request poll_for(int fd, bool writes) noexcept {
    request ask;
    ask.code = opcode::poll_add;
    ask.op_flags = writes ? POLLOUT : POLLIN | POLLRDHUP;
    ask.number = fd;
    return ask;
}

}  // namespace

fd_watch::fd_watch(loop_core& home, int fd, bool for_writing, function<void()> call_this)
    : background_operation(for_writing ? writer_kind : reader_kind, nullptr,
                           poll_for(fd, for_writing)),
      callback_item{{nullptr, nullptr}, call},
      core(&home),
      fn(std::move(call_this)),
      number(fd),
      writes(for_writing) {
    on_completion = ready;
}

void fd_watch::arm() noexcept {
    ++holders;
    core->begin_background(*this);
}

void fd_watch::ready(operation_state& operation) noexcept {
    auto& self = static_cast<fd_watch&>(operation);
    if (!self.removed && self.result >= 0) {
        self.core->push(self);  // the poll's reference passes to the ready queue
        return;
    }
    if (!self.removed && self.result != -ECANCELED)
        self.core->report(std::string(self.kind->what) + " on descriptor " +
                              std::to_string(self.number),
                          std::make_exception_ptr(std::system_error(
                              -self.result, std::system_category(), "poll")));
    self.core->watches.forget(self);
    self.release();
}

void fd_watch::call(callback_item& item) noexcept {
    auto& self = static_cast<fd_watch&>(item);
    if (!self.removed && !self.core->leaving) {
        try {
            self.fn();
        } catch (...) {
            self.core->report(std::string("the callback of ") + self.kind->what +
                                  " on descriptor " + std::to_string(self.number) + " threw",
                              std::current_exception());
        }
        if (!self.removed) self.arm();
    }
    self.release();
}

void fd_watches::add(loop_core& core, int fd, bool writes, function<void()> fn) {
    unsigned mode = 0;
    if (const int result = core.kernel->file_status(fd, &mode); result < 0)
        throw_system_error(-result, writes ? "add_writer" : "add_reader",
                           "descriptor " + std::to_string(fd));
    if (core.closed) throw closed_error("the loop has ended: it cannot watch a descriptor");
    if (here.turn != &core) core.kernel->attach();
    auto* watch = new fd_watch(core, fd, writes, std::move(fn));
    try {
        remove(core, fd, writes);
        all_[key(fd, writes)] = watch;
    } catch (...) {
        watch->release();
        throw;
    }
    watch->arm();
}

bool fd_watches::remove(loop_core& core, int fd, bool writes) noexcept {
    const auto found = all_.find(key(fd, writes));
    if (found == all_.end()) return false;
    fd_watch& watch = *found->second;
    all_.erase(found);
    watch.removed = true;
    if (watch.in_kernel() || watch.phase == operation_state::phase_t::queued) {
        core.cancel(watch);
        core.make_backlog_entries();
        core.kernel->enter(time_point::min(), nullptr, 0);
    }
    watch.release();
    return true;
}

void fd_watches::forget(fd_watch& watch) noexcept {
    if (std::exchange(watch.removed, true)) return;
    all_.erase(key(watch.number, watch.writes));
    watch.release();
}

fd_watches::~fd_watches() {
    for (const auto& [key, watch] : all_) watch->release();
}

}  // namespace detail

void loop::add_reader(int fd, detail::function<void()> fn) {
    core_->watches.add(*core_, fd, false, std::move(fn));
}
void loop::add_writer(int fd, detail::function<void()> fn) {
    core_->watches.add(*core_, fd, true, std::move(fn));
}
bool loop::remove_reader(int fd) noexcept { return core_->watches.remove(*core_, fd, false); }
bool loop::remove_writer(int fd) noexcept { return core_->watches.remove(*core_, fd, true); }

}  // namespace v0
}  // namespace rondo
