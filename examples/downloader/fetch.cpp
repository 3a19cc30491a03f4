// SPDX-License-Identifier: MIT
// Asks, checks, and moves the body from the socket to the disk.
#include "fetch.hpp"

#include <exception>
#include <string_view>

#include "part_file.hpp"

namespace downloader {

namespace {

rondo::task<> transfer(downloads& all, const job& what, std::size_t id) {
    part_file file(all.folder, what.name, all.replace);
    file.check_name();
    response answer = co_await all.web.get(what.where);
    answer.raise_for_status();
    if (const auto bytes = answer.content_length()) all.show.expect(id, *bytes);

    co_await file.create();
    for (;;) {
        const std::string_view piece = co_await answer.read();
        if (piece.empty()) break;
        co_await file.write_all(piece);
        all.show.add(id, piece.size());
    }
    co_await file.commit();
}

}  // namespace

rondo::task<> fetch(downloads& all, const job& what) {
    const std::size_t id = all.show.start(what.name, all.now());
    try {
        co_await transfer(all, what, id);
        all.show.done(id, all.now());
    } catch (const std::exception& error) {
        all.show.failed(id, error.what());
    }
}

}  // namespace downloader
