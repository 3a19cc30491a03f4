// SPDX-License-Identifier: MIT
// Checks the behaviour that every kind of stream must have: both directions in every chunking, half
// close, closing during a read or write, cancelled reads and writes, back-pressure, one reader and
// one writer at a time. A test makes pairs of ends, and each check uses one up.
#pragma once

#include <array>
#include <string>
#include <utility>

#include <rondo/gather.hpp>
#include <rondo/sleep.hpp>
#include <rondo/stream.hpp>

#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

namespace rondo_tests {

/// The two ends of one stream; `make` of the checker gives one of these in a task.
template <class A, class B = A>
class ends_of {
public:
    A here;
    B there;
    ends_of(A a, B b) : here(std::move(a)), there(std::move(b)) {}
};

template <class S>
task<> send_in_steps(S* to, const std::string* all, std::size_t step) {
    for (std::size_t at = 0; at < all->size(); at += step)
        co_await to->write_all(std::string_view(*all).substr(at, step));
}

template <class S>
task<std::string> receive_in_steps(S* from, std::size_t size, std::size_t step) {
    std::string all;
    std::string buffer(step, '\0');
    while (all.size() < size) {
        const chunk some = co_await from->read_some(buffer);
        if (!some) break;
        all.append(some.data(), some.size());
    }
    co_return all;
}

template <class S>
task<int> errno_of_read(S* from) {
    std::array<char, 16> buffer;
    try {
        const chunk some = co_await from->read_some(buffer);
        co_return some ? -1 : 0;
    } catch (const std::system_error& error) {
        co_return error.code().value();
    }
}

template <class S>
task<int> errno_of_writes(S* to) {
    const std::string much(256 * 1024, 'x');
    try {
        for (int i = 0; i < 1000; ++i) co_await to->write_all(much);
    } catch (const std::system_error& error) {
        co_return error.code().value();
    }
    co_return 0;
}

/// Writes more than any stream's buffer holds, at once.
template <class S>
task<> write_very_much(S* to) {
    const std::string very_much(std::size_t{16} << 20, 'x');
    co_await to->write_all(very_much);
}

/// `make` gives a task of ends_of. A stream with one direction is written at `here`, read at
/// `there`.
template <class Make>
task<> check_one_way(Make make) {
    for (const std::size_t step :
         {std::size_t(1), std::size_t(7), std::size_t(4096), std::size_t(70'000)}) {
        auto ends = co_await make();
        const std::string all = pattern(step == 1 ? 400 : 150'000);
        auto both = gather(send_in_steps(&ends.here, &all, step),
                           receive_in_steps(&ends.there, all.size(), step));
        const auto results = co_await std::move(both);
        CHECK(std::get<1>(results) == all);
    }
    {  // an empty write gives neither bytes nor the end
        auto ends = co_await make();
        co_await ends.here.write_all("");
        const chunk none = co_await ends.there.read_some(buffer_view());
        CHECK(none);
        CHECK(none.empty());
    }
    {  // the end stays the end
        auto ends = co_await make();
        co_await ends.here.write_all("last");
        co_await ends.here.shutdown_write();
        const std::string last = co_await receive_in_steps(&ends.there, 100, 100);
        CHECK(last == "last");
        for (int i = 0; i < 3; ++i) {
            const int end = co_await errno_of_read(&ends.there);
            CHECK(end == 0);
        }
    }
    {  // cancelled reads take no byte
        auto ends = co_await make();
        std::array<char, 16> room{};
        const auto read = [&]() -> task<> {
            const chunk some = co_await ends.there.read_some(room);
            static_cast<void>(some);
        };
        co_await must_be_cancellable(read);
        co_await ends.here.write_all("whole");
        const std::string whole = co_await receive_in_steps(&ends.there, 5, 16);
        CHECK(whole == "whole");
    }
    {  // without a reader the writer waits; a partial write marks the stream as broken
        auto ends = co_await make();
        auto writing = create_task(write_very_much(&ends.here));
        co_await sleep(std::chrono::milliseconds(20));
        CHECK_FALSE(writing.done());
        CHECK_THROWS_AS(co_await ends.here.write_all("second"), invalid_state_error);
        writing.cancel();
        CHECK_THROWS_AS(co_await writing, future_cancelled);
        CHECK_THROWS_AS(co_await ends.here.write_all("more"), invalid_state_error);
    }
    {  // one reader at a time
        auto ends = co_await make();
        auto reading = create_task(errno_of_read(&ends.there));
        co_await sleep(std::chrono::milliseconds(1));
        std::array<char, 16> room;
        CHECK_THROWS_AS(co_await ends.there.read_some(room), invalid_state_error);
        ends.there.close();
        const int ended = co_await std::move(reading);
        CHECK(ended == ECANCELED);
    }
    {  // closing during a write; the peer closes during a write
        auto ends = co_await make();
        auto writing = create_task(errno_of_writes(&ends.here));
        co_await sleep(std::chrono::milliseconds(20));
        ends.here.close();
        const int ended = co_await std::move(writing);
        CHECK(ended == ECANCELED);
        auto others = co_await make();
        auto broken = create_task(errno_of_writes(&others.here));
        co_await sleep(std::chrono::milliseconds(20));
        others.there.close();
        const int error = co_await std::move(broken);
        CHECK((error == EPIPE || error == ECONNRESET));
    }
    {  // both ends may be destroyed without close
        auto ends = co_await make();
        co_await ends.here.write_all("no one reads this");
    }
}

/// Like check_one_way, with both directions.
template <class Make>
task<> check_duplex(Make make) {
    co_await check_one_way(make);
    {
        auto ends = co_await make();
        const std::string all = pattern(300'000);
        auto both = gather(send_in_steps(&ends.here, &all, 50'000),
                           send_in_steps(&ends.there, &all, 30'000),
                           receive_in_steps(&ends.here, all.size(), 9'999),
                           receive_in_steps(&ends.there, all.size(), 10'000));
        const auto results = co_await std::move(both);
        CHECK(std::get<2>(results) == all);
        CHECK(std::get<3>(results) == all);
    }
    {  // half close
        auto ends = co_await make();
        co_await ends.here.shutdown_write();
        const int end = co_await errno_of_read(&ends.there);
        CHECK(end == 0);
        co_await ends.there.write_all("still here");
        const std::string got = co_await receive_in_steps(&ends.here, 10, 100);
        CHECK(got == "still here");
    }
}

}  // namespace rondo_tests
