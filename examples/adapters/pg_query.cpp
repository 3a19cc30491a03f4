// SPDX-License-Identifier: MIT
// Shows one PostgreSQL query with a time limit; a late query is cancelled on the server too.
// Run: pg_query CONNINFO SQL [SECONDS]
//
//     1 | one
//     2 | two
#include <cstdlib>
#include <string>

#include <fmt/core.h>

#include "pg_connection.hpp"

rondo::task<int> ask(std::string conninfo, std::string sql, std::chrono::seconds limit) {
    pg_connection database;
    co_await database.open(conninfo);
    const auto answer = co_await rondo::move_on_after(limit, database.query(sql));
    if (!answer) {
        fmt::print("no answer in {} s\n", limit.count());
        co_return 1;
    }
    const PGresult* rows = answer->get();
    for (int row = 0; row < PQntuples(rows); ++row)
        for (int column = 0; column < PQnfields(rows); ++column)
            fmt::print("{}{}", PQgetvalue(rows, row, column),
                       column + 1 < PQnfields(rows) ? " | " : "\n");
    co_return 0;
}

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr, "usage: pg_query CONNINFO SQL [SECONDS]\n");
        return 2;
    }
    try {
        return rondo::run(ask, std::string(argv[1]), std::string(argv[2]),
                          std::chrono::seconds(argc > 3 ? std::atoi(argv[3]) : 60));
    } catch (const pg_error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
