// SPDX-License-Identifier: MIT
// Tests examples/adapters/pg_connection.hpp against the server that RONDO_PG names (run_adapters.py
// starts it).
#include "../../examples/adapters/pg_connection.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "support/core_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

const std::string server = std::getenv("RONDO_PG") ? std::getenv("RONDO_PG") : "";

std::string first(const pg_rows& rows) { return PQgetvalue(rows.get(), 0, 0); }

task<std::string> ask(pg_connection* database, std::string sql) {
    const pg_rows rows = co_await database->query(sql);
    co_return first(rows);
}

task<> open(pg_connection* database) { return database->open(server); }

/// True if another session sees that a query with this comment runs.
task<bool> runs(pg_connection* observer, std::string comment) {
    const std::string seen = co_await ask(
        observer, "select count(*) from pg_stat_activity where state = 'active' and query like '%" +
                      comment + "%' and pid <> pg_backend_pid()");
    co_return seen != "0";
}

}  // namespace

RONDO_TEST("pg: a query and its rows", "[kernel]", rondo_tests::limit(30s)) {
    pg_connection database;
    co_await open(&database);
    const pg_rows rows = co_await database.query("select n, n * n from generate_series(1, 1000) n");
    REQUIRE(PQntuples(rows.get()) == 1000);
    CHECK(std::string(PQgetvalue(rows.get(), 999, 1)) == "1000000");
    const std::string last = co_await ask(&database, "select 1; select 2");
    CHECK(last == "2");
}

RONDO_TEST("pg: more than a socket holds, in both directions", "[kernel]",
           rondo_tests::limit(30s)) {
    pg_connection database;
    co_await open(&database);
    const std::string long_text(8 << 20, 'x');
    const pg_rows rows = co_await database.query("select '" + long_text + "'");
    CHECK(PQgetlength(rows.get(), 0, 0) == 8 << 20);
}

RONDO_TEST("pg: errors have the server's words and its code", "[kernel]",
           rondo_tests::limit(30s)) {
    pg_connection database;
    co_await open(&database);
    try {
        co_await database.query("select * from nothing");
        FAIL("there is no such table");
    } catch (const pg_error& error) {
        CHECK(error.sqlstate == "42P01");
        CHECK(std::string(error.what()).find("query: ERROR:") == 0);
    }
    const std::string two = co_await ask(&database, "select 1 + 1");
    CHECK(two == "2");
    CHECK_THROWS_AS(co_await database.query("copy (select 1) to stdout"), pg_error);
    CHECK_FALSE(database.is_open());
    CHECK_THROWS_AS(co_await database.query("select 1"), pg_error);

    pg_connection nowhere;
    CHECK_THROWS_AS(co_await nowhere.open("host=/nowhere dbname=postgres"), pg_error);
    CHECK_FALSE(nowhere.is_open());
}

RONDO_TEST("pg: a server that goes away ends the query, not the program", "[kernel]",
           rondo_tests::limit(30s)) {
    pg_connection database;
    co_await open(&database);
    CHECK_THROWS_AS(co_await database.query("select pg_terminate_backend(pg_backend_pid())"),
                    pg_error);
    CHECK_FALSE(database.is_open());
}

RONDO_TEST("pg: queries of several tasks stand in line", "[kernel]", rondo_tests::limit(30s)) {
    pg_connection database;
    co_await open(&database);
    std::vector<task<std::string>> asked;
    for (int i = 0; i < 50; ++i) asked.push_back(ask(&database, "select " + std::to_string(i)));
    const std::vector<std::string> answers = co_await gather(std::move(asked));
    for (std::size_t i = 0; i < 50; ++i) CHECK(answers[i] == std::to_string(i));
}

RONDO_TEST("pg: queries end in all three forms of a cancellation", "[kernel]",
           rondo_tests::limit(30s)) {
    pg_connection database;
    co_await open(&database);
    const auto quick = [&] { return ask(&database, "select 1"); };
    const auto slow = [&] { return ask(&database, "select pg_sleep(3600)"); };
    co_await rondo_tests::check_cancelled_before(quick);
    co_await rondo_tests::check_cancelled_while_suspended(slow);
    CHECK(database.is_open());
    co_await rondo_tests::check_cancelled_after_arrival(quick);
    const std::string two = co_await ask(&database, "select 2");
    CHECK(two == "2");
}

RONDO_TEST("pg: connecting ends in the first two forms", "[kernel]", rondo_tests::limit(30s)) {
    pg_connection database;
    const auto connect = [&] { return open(&database); };
    co_await rondo_tests::check_cancelled_before(connect);
    co_await rondo_tests::check_cancelled_while_suspended(connect);
    CHECK_FALSE(database.is_open());
    co_await connect();
    CHECK(database.is_open());
}

RONDO_TEST("pg: a cancelled query does not go on in the server", "[kernel]",
           rondo_tests::limit(30s)) {
    pg_connection database;
    pg_connection observer;
    co_await open(&database);
    co_await open(&observer);
    auto asked = create_task(ask(&database, "select pg_sleep(3600) /* marked */"));
    while (!co_await runs(&observer, "marked")) co_await sleep(1ms);
    asked.cancel();
    CHECK_THROWS_AS(co_await asked, future_cancelled);
    const bool goes_on = co_await runs(&observer, "marked");
    CHECK_FALSE(goes_on);
    const std::string two = co_await ask(&database, "select 2");
    CHECK(two == "2");
}
