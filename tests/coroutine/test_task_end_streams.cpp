// SPDX-License-Identifier: MIT
// Law 9 in the natural program: a producer's end is the end of its stream, since its parameters,
// the stream among them, are destroyed with it.
#include <memory>
#include <string>
#include <utility>

#include <rondo/file.hpp>
#include <rondo/file_system.hpp>
#include <rondo/future.hpp>
#include <rondo/gather.hpp>
#include <rondo/pipe.hpp>
#include <rondo/process.hpp>
#include <rondo/queue.hpp>
#include <rondo/sync.hpp>
#include <rondo/unix.hpp>

#include "support/core_tools.hpp"
#include "support/file_tools.hpp"

namespace {

using namespace rondo_tests;

template <class P>
task<> hold(P) {
    co_await sleep(1ms);
}
template <class Out>
task<> produce(Out out) {
    co_await out.write_all("hello\n");
}
template <class In>
task<std::string> consume(In in) {
    std::string all;
    while (auto line = co_await in.read_line()) all += *line;
    co_return all;
}

RONDO_TEST("task end: a producer's end closes its sockets and pipes", "[task_end][both]") {
    auto [a, b] = socket_pair();
    auto [sent, got] = co_await gather(produce(std::move(a)), consume(std::move(b)));
    CHECK(got == "hello");
    auto through = make_pipe();
    auto [written, read] = co_await gather(produce(std::move(through.writer)),
                                              consume(std::move(through.reader)));
    CHECK(read == "hello");
    auto kept = socket_pair();
    auto f = create_task(produce(std::move(kept.first)));
    const std::string all = co_await consume(std::move(kept.second));
    CHECK(all == "hello");
    CHECK(f.done());
}

RONDO_TEST("task end: a producer's end ends a broadcast, a broken promise wakes its waiter",
           "[task_end][both]") {
    auto sender = std::make_unique<broadcast<int>>(4);
    auto receiver = sender->subscribe();
    const auto send = [](std::unique_ptr<broadcast<int>> out) -> task<> {
        out->send(1);
        co_await sleep(1ms);
        out->send(2);
    };
    const auto receive = [](broadcast<int>::subscriber in) -> task<int> {
        int sum = 0;
        while (auto item = co_await in.next()) sum += *item;
        co_return sum;
    };
    auto [sent, sum] = co_await gather(send(std::move(sender)), receive(std::move(receiver)));
    CHECK(sum == 3);
    promise<int> never_given;
    auto f = never_given.get_future();
    auto holds = create_task(hold(std::move(never_given)));
    CHECK_THROWS_AS(co_await f, broken_promise_error);
    CHECK(holds.done());
}

RONDO_TEST("task end: a file is closed and a lock is released", "[task_end][both]") {
    const folder in;
    const std::string path = in / "text";
    const auto write = [](file out) -> task<> { co_await out.write_all("text"); };
    auto f = create_task(write(co_await file::create(path)));
    co_await f;
    const auto text = co_await read_file(path);
    CHECK(text == "text");
    mutex m;
    auto guard = co_await m.lock();
    auto locked = create_task(hold(std::move(guard)));
    const auto again = co_await m.lock();
    CHECK(locked.done());
}

RONDO_TEST("task end: the input of a program ends with its writer", "[task_end][kernel]") {
    auto cat = command("cat").in(rondo::pipe).out(rondo::pipe).spawn();
    auto [sent, got] = co_await gather(produce(std::move(cat.in())), consume(std::move(cat.out())));
    CHECK(got == "hello");
    const auto end = co_await cat.wait();
    CHECK(end == 0);
}

}  // namespace
