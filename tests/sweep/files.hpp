// SPDX-License-Identifier: MIT
// Scenarios of the fault sweep: files, and tasks that interact while operations fail.
#pragma once

#include <vector>

#include "sweep/streams.hpp"

namespace fault_sweep {

inline task<std::string> content_of(std::string path) {
    auto from = co_await file::open(path);
    std::string got;
    std::string buffer(900, '?');
    while (auto chunk = co_await from.read_some(buffer)) got += chunk.text();
    co_return got;
}

inline task<> sweep_write(std::string path, const std::string& bytes) {
    auto to = co_await file::create(path);
    co_await to.write_all(bytes);
    co_await to.sync();
    co_await to.close();
}

inline task<> file_written_and_read(verdict& v) {
    const std::string bytes = letters(3000);
    co_await sweep_write("b", bytes);
    const std::string got = co_await content_of("b");
    v.expect(got == bytes, "the bytes read are the bytes written");
}

inline task<> file_copied(verdict& v) {
    const std::string bytes = letters(2500);
    co_await sweep_write("from", bytes);
    auto from = co_await file::open("from");
    auto to = co_await file::create("to");
    std::string buffer(700, '?');
    while (auto chunk = co_await from.read_some(buffer)) co_await to.write_all(chunk.text());
    co_await to.close();
    const std::string got = co_await content_of("to");
    v.expect(got == bytes, "a copy is equal");
}

inline task<> read_piece(file& from, std::string& into, std::size_t at, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
        buffer_view piece(into.data() + at + done, size - done);
        auto chunk = co_await from.read_at(piece, at + done);
        if (!chunk) throw error("the file is too short");
        done += chunk.size();
    }
}

inline task<> file_read_at_offsets(verdict& v) {
    const std::string bytes = letters(2000);
    co_await sweep_write("f", bytes);
    auto from = co_await file::open("f");
    std::string got(2000, '?');
    co_await gather(read_piece(from, got, 0, 500), read_piece(from, got, 500, 1000),
                    read_piece(from, got, 1500, 500));
    v.expect(got == bytes, "pieces at offsets make up the whole");
    const std::uint64_t size = co_await from.size();
    v.expect(size == 2000, "the size is the number of written bytes");
}

inline task<> file_appended(verdict& v) {
    co_await sweep_write("log", "first ");
    {
        auto log = co_await file::open("log", open_mode::append);
        co_await log.write_all("second ");
        co_await log.write_all("third");
    }
    const std::string got = co_await content_of("log");
    v.expect(got == "first second third", "appended bytes come after the old ones");
}

inline task<> file_replaced(verdict& v) {
    co_await write_file("config", "old content");
    std::exception_ptr failed;
    try {
        co_await replace_file("config", "new");
    } catch (...) {
        failed = std::current_exception();
    }
    const std::string got = co_await content_of("config");
    v.expect(got == "new" || (failed && got == "old content"), "the old bytes or the new ones");
    if (failed) std::rethrow_exception(failed);
}

inline task<> tree_made_and_removed(verdict& v) {
    co_await make_directories("tree/a/b");
    co_await write_file("tree/a/one", "1");
    co_await rename_path("tree/a/one", "tree/two");
    const auto names = co_await list_directory("tree");
    v.expect(names.size() == 2, "a listing has all names");
    const std::uintmax_t count = co_await remove_tree("tree");
    v.expect(count == 4, "everything is removed");
    const bool there = co_await path_exists("tree");
    v.expect(!there, "nothing is left");
}

inline task<> file_that_is_not_there(verdict& v) {
    bool failed = false;
    try {
        auto from = co_await file::open("nowhere");
    } catch (const std::system_error&) {
        failed = true;
    }
    v.expect(failed, "opening a missing file fails");
}

inline task<> send_file(tcp_stream& to, std::string path) {
    auto from = co_await file::open(path);
    std::string buffer(800, '?');
    while (auto chunk = co_await from.read_some(buffer)) co_await to.write_all(chunk.text());
    co_await to.shutdown_write();
}

inline task<> file_sent(verdict& v) {
    const std::string bytes = letters(3000);
    co_await sweep_write("page", bytes);
    auto both = co_await over_tcp::make();
    co_await gather(send_file(both.writer, "page"), receive_some(both.reader, bytes, v));
}

inline task<> files_in_parallel(verdict& v) {
    std::vector<std::string> names = {"1", "2", "3", "4"};
    auto write = [](std::string& name) -> task<> { co_await sweep_write(name, name); };
    co_await map_concurrent(2, names, write);
    auto read = [](std::string& name) -> task<std::string> { co_return co_await content_of(name); };
    const auto all = co_await map_concurrent(3, names, read);
    v.expect(all == names, "each file has the bytes written to it");
}

// -- tasks ----------------------------------------------------------------------------------------

/// One operation, for a fault to hit.
inline task<int> tick(int value) {
    co_await sweep_write("tick" + std::to_string(value), "x");
    co_return value;
}

inline task<> settled_one_by_one(verdict& v) {
    auto all = co_await gather_settled(tick(1), tick(2), tick(3));
    const auto& second = std::get<1>(all);
    if (second.has_value()) v.expect(second.value() == 2, "a settled value is the task's own");
}

template <class Queue>
task<> handed_over(verdict& v) {
    Queue line(1);
    int next = 0;
    auto produce = [&]() -> task<> {
        for (int i = 0; i < 4; ++i) {
            const int value = co_await tick(i);
            co_await line.put(value);
        }
        line.close();
    };
    auto consume = [&]() -> task<> {
        while (auto value = co_await line.next())
            v.expect(*value == next++, "items come in order");
    };
    co_await gather(produce(), consume());
    v.expect(next == 4, "every item comes");
}

inline task<> locked_files(verdict& v) {
    mutex only_one;
    int inside = 0;
    auto use = [&](int which) -> task<> {
        auto guard = co_await only_one.lock();
        v.expect(++inside == 1, "a lock has one holder");
        try {
            co_await tick(which);
        } catch (...) {
            --inside;
            throw;
        }
        --inside;
    };
    co_await gather(use(1), use(2), use(3));
}

inline task<> cleaned_up_under_shield(verdict& v) {
    bool cleaned = false;
    auto use = [&]() -> task<> {
        std::exception_ptr failed;
        try {
            co_await tick(1);
            co_await sleep(1s);
        } catch (...) {
            failed = std::current_exception();
        }
        auto clean = [&]() -> task<> {
            co_await sleep(1ms);
            cleaned = true;
        };
        co_await with_shield(clean);
        if (failed) std::rethrow_exception(failed);
    };
    std::exception_ptr failed;
    try {
        co_await move_on_after(10ms, use());
    } catch (...) {
        failed = std::current_exception();
    }
    v.expect(cleaned || cancel_requested(), "a shielded task is done");
    if (failed) std::rethrow_exception(failed);
}

inline task<> jobs_elsewhere(verdict& v) {
    const int first = co_await to_thread([](int n) { return n + 1; }, 1);
    co_await tick(first);
    const int second = co_await to_thread([](int n) { return n * 2; }, first);
    v.expect(second == 4, "a job gives its value");
}

inline task<> detached_and_awaited(verdict& v) {
    auto one = create_task(tick(1));
    auto other = create_task(tick(2));
    co_await sleep(50ms);
    const int sum = co_await one + co_await other;
    v.expect(sum == 3, "a future gives its task's value");
}

}  // namespace fault_sweep
