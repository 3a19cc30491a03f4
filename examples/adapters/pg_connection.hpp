// SPDX-License-Identifier: MIT
// PostgreSQL inside rondo: libpq's nonblocking calls, and the loop waits between them.
//
// libpq may use another socket after each step of connecting. So every wait asks for the socket
// again, and no wait is in flight while libpq runs.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/rondo.hpp>

/// An error of the server or of libpq; `sqlstate` is empty if it is libpq's.
struct pg_error : std::runtime_error {
    pg_error(std::string doing, std::string_view said, const char* state)
        : std::runtime_error(
              (doing += ": ").append(said.substr(0, said.find_last_not_of('\n') + 1))),
          sqlstate(state ? state : "") {}
    std::string sqlstate;
};
struct pg_free {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    void operator()(PGresult* result) const noexcept { PQclear(result); }
    void operator()(PGcancel* cancel) const noexcept { PQfreeCancel(cancel); }
};
using pg_rows = std::unique_ptr<PGresult, pg_free>;

/// One connection. Its queries run one after the other, in the order of the calls. It must outlive
/// them.
class pg_connection {
public:
    pg_connection() = default;
    pg_connection(pg_connection&&) = delete;

    /// Connects. libpq blocks while it looks up a host name, so use hostaddr=.
    /// Throws: pg_error.
    /// Cancel: closes the connection.
    rondo::task<> open(std::string conninfo) {
        if (rondo::cancel_requested()) throw rondo::cancelled();
        std::unique_ptr<PGconn, pg_free> fresh(PQconnectStart(conninfo.c_str()));
        if (!fresh) throw std::bad_alloc();
        auto next =
            PQstatus(fresh.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
        while (next != PGRES_POLLING_OK) {
            if (next == PGRES_POLLING_FAILED)
                throw pg_error("connect", PQerrorMessage(fresh.get()), nullptr);
            if (next == PGRES_POLLING_READING)
                co_await rondo::wait_readable(PQsocket(fresh.get()));
            else
                co_await rondo::wait_writable(PQsocket(fresh.get()));
            next = PQconnectPoll(fresh.get());
        }
        PQsetnonblocking(fresh.get(), 1);
        connection_ = std::move(fresh);
    }

    /// False before open, and after an error that left the connection unusable.
    bool is_open() const noexcept { return connection_ != nullptr; }

    /// Runs one or more statements and returns the result of the last one.
    /// Throws: pg_error of the first statement that failed.
    /// Cancel: asks the server to stop (PQcancel, on a thread) and waits for its answer for at most
    ///         `grace`. The connection can be used afterwards, or is closed if the time is over. If
    ///         the statement was done by then, its result is returned.
    rondo::task<pg_rows> query(std::string text) {
        auto turn = co_await line_.lock();
        if (!connection_) throw pg_error("query", "the connection is closed", nullptr);
        if (PQsendQuery(connection_.get(), text.c_str()) == 0) throw failure("query");
        try {
            co_await flush();
            co_return co_await answer();
        } catch (const rondo::cancelled&) {  // continues below: a handler cannot await
        }
        pg_rows late;
        co_await rondo::shield(stop(&late));
        if (!late) throw rondo::cancelled();
        co_return late;
    }

    rondo::duration grace = std::chrono::seconds(5);

private:
    pg_error failure(const char* doing) {
        pg_error error(doing, PQerrorMessage(connection_.get()), nullptr);
        if (PQstatus(connection_.get()) != CONNECTION_OK) connection_.reset();
        return error;
    }

    /// Sends the query. Waits for both directions: the server may not read until its output is
    /// read.
    rondo::task<> flush() {
        for (;;) {
            const int left = PQflush(connection_.get());
            if (left < 0) throw failure("query");
            if (left == 0) co_return;
            const int fd = PQsocket(connection_.get());
            co_await rondo::race(rondo::wait_writable(fd), rondo::wait_readable(fd));
            if (PQconsumeInput(connection_.get()) == 0) throw failure("query");
        }
    }

    /// Reads until the server is ready for the next query.
    rondo::task<pg_rows> answer() {
        pg_rows last;
        std::optional<pg_error> first_error;
        for (;;) {
            while (PQisBusy(connection_.get()) != 0) {
                co_await rondo::wait_readable(PQsocket(connection_.get()));
                if (PQconsumeInput(connection_.get()) == 0) throw failure("query");
            }
            pg_rows part(PQgetResult(connection_.get()));
            if (!part) break;
            const ExecStatusType status = PQresultStatus(part.get());
            if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
                connection_.reset();
                throw pg_error("query", "COPY is not supported here", nullptr);
            }
            if (status == PGRES_FATAL_ERROR && !first_error)
                first_error.emplace("query", PQresultErrorMessage(part.get()),
                                    PQresultErrorField(part.get(), PG_DIAG_SQLSTATE));
            last = std::move(part);
        }
        if (PQstatus(connection_.get()) != CONNECTION_OK) connection_.reset();
        if (first_error) throw *first_error;
        co_return last;
    }

    /// Asks the server to stop and reads its answer. If the query was done, `late` gets its result.
    rondo::task<> stop(pg_rows* late) {
        const std::unique_ptr<PGcancel, pg_free> handle(PQgetCancel(connection_.get()));
        auto stopped = rondo::race_success(finish(late), ask_to_stop(handle.get()));
        if (!co_await rondo::move_on_after(grace, std::move(stopped))) connection_.reset();
    }
    rondo::task<> finish(pg_rows* late) {
        try {
            co_await flush();
            *late = co_await answer();
        } catch (const pg_error&) {  // usually 57014, query_canceled
        }
    }
    /// Repeats PQcancel, since the server ignores it before the statement has begun. PQcancel
    /// blocks, so it runs on a thread.
    static rondo::task<> ask_to_stop(PGcancel* handle) {
        for (char why[256];; co_await rondo::sleep(std::chrono::milliseconds(100)))
            co_await rondo::to_thread(&PQcancel, handle, &why[0], int{sizeof why});
    }

    std::unique_ptr<PGconn, pg_free> connection_;
    rondo::mutex line_;
};
