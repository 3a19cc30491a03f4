// SPDX-License-Identifier: MIT
// process_pool: its public functions, which call the manager.
#include <rondo/process_pool.hpp>

#include <signal.h>

#include "multiprocess/pool/function_address.hpp"
#include "multiprocess/pool/errors.hpp"
#include "multiprocess/pool/manager.hpp"
#include "multiprocess/pool/worker.hpp"

namespace rondo {
inline namespace v0 {

broken_process_pool_error::~broken_process_pool_error() = default;

remote_error::remote_error(std::string type, std::string message)
    : error(type + ": " + message),
      texts_(std::make_shared<const std::pair<std::string, std::string>>(std::move(type),
                                                                         std::move(message))) {}
remote_error::~remote_error() = default;

namespace detail {

std::string address_call(any_function invoker, any_function fn) {
    std::string bytes;
    word_writer to(bytes);
    for (const any_function each : {invoker, fn}) {
        const function_address where = each != nullptr ? address_of(each) : function_address();
        to.text(where.module);
        to.number(where.offset);
    }
    return bytes;
}

void submit_job(process_manager& pool, process_job& job, packed_call call, duration timeout) {
    job.call = std::move(call);
    job.timeout = timeout;
    pool.submit(job);
}

std::size_t workers_max_of(const process_manager& pool) noexcept { return pool.options().workers; }

namespace {

task<> close_pool(std::shared_ptr<process_manager> manager, bool cancel_queued) {
    if (manager->is_this_thread())
        throw deadlock_error("a task on a process_pool's own thread awaits the end of that pool");
    manager->close(cancel_queued);
    co_await manager->ended();
    manager->join();
}

}  // namespace
}  // namespace detail

process_pool::process_pool(process_pool_options options)
    : process_pool(options, detail::packed_call()) {}

process_pool::process_pool(process_pool_options options, detail::packed_call initializer)
    : manager_(std::make_shared<detail::process_manager>(options, std::move(initializer))) {
    if (!detail::process_worker_was_called())
        throw invalid_state_error(
            "process_pool: main must begin with `if (rondo::process_worker(argc, argv)) return "
            "0;`; without it each "
            "worker would run main");
    manager_->start_thread();
}

process_pool& process_pool::operator=(process_pool&& other) noexcept {
    process_pool before(std::move(*this));
    manager_ = std::move(other.manager_);
    return *this;
}

process_pool::~process_pool() {
    if (manager_) shutdown(true, true);
}

void process_pool::shutdown(bool wait, bool cancel_queued) {
    manager_->close(cancel_queued);
    if (!wait) return;
    RONDO_ASSERT(!manager_->is_this_thread(),
                 "a done callback of a process_pool's future waits for the end of that pool");
    manager_->join();
}

task<> process_pool::close(bool cancel_queued) {
    return detail::close_pool(manager_, cancel_queued);
}

void process_pool::terminate_workers() { manager_->end_workers(SIGTERM); }
void process_pool::kill_workers() { manager_->end_workers(SIGKILL); }

process_pool_stats process_pool::stats() const { return manager_->stats(); }
std::vector<int> process_pool::worker_pids() const { return manager_->pids(); }

}  // namespace v0
}  // namespace rondo
