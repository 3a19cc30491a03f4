// SPDX-License-Identifier: MIT
// once: one task calls the function, the others wait; a failed call does not count.
#include <memory>
#include <stdexcept>
#include <string>

#include <rondo/gather.hpp>

#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

struct work {
    once o;
    int begun = 0, done = 0, left_to_fail = 0;
};

task<> do_it(work* w) {
    ++w->begun;
    co_await finish();
    if (w->left_to_fail-- > 0) throw std::runtime_error("not this time");
    ++w->done;
}

/// Tries once; notes its name, in capitals if it failed or was cancelled.
task<> call_and_note(work* w, std::string* log, char name) {
    const char capital = static_cast<char>(name - 'a' + 'A');
    try {
        co_await w->o.call(do_it, w);
        log->push_back(name);
    } catch (const std::runtime_error&) {
        log->push_back(capital);
    } catch (const cancelled&) {
        log->push_back(capital);
        throw;
    }
}

RONDO_TEST("once: one task calls it, the others wait", "[sync][once][both]") {
    work w;
    std::string log;
    for (char name : std::string("abc")) create_task(call_and_note(&w, &log, name));
    co_await finish(2);
    CHECK(w.begun == 1);
    CHECK(w.o.waiting() == 2);
    CHECK_FALSE(w.o.done());
    CHECK(log.empty());
    co_await call_and_note(&w, &log, 'd');
    CHECK(log == "abcd");
    CHECK(w.done == 1);
    CHECK(w.o.done());
    co_await call_and_note(&w, &log, 'e');
    CHECK(w.begun == 1);
}

RONDO_TEST("once: a function that returns no task, arguments that are moved",
           "[sync][once][both]") {
    once o;
    int sum = 0;
    const auto add = [](int* to, const std::unique_ptr<int>& what) { *to += *what; };
    co_await o.call(add, &sum, std::make_unique<int>(3));
    co_await o.call(add, &sum, std::make_unique<int>(4));
    CHECK(sum == 3);
    once another;
    co_await another.call([&] { sum = 7; });
    CHECK(sum == 7);
}

RONDO_TEST("once: after an error the next in line tries", "[sync][once][both]") {
    work w;
    w.left_to_fail = 2;
    std::string log;
    co_await gather(call_and_note(&w, &log, 'a'), call_and_note(&w, &log, 'b'),
                    call_and_note(&w, &log, 'c'), call_and_note(&w, &log, 'd'));
    CHECK(log == "ABcd");
    CHECK(w.begun == 3);
    CHECK(w.done == 1);
}

RONDO_TEST("once: if the calling task is cancelled, the next waiter tries", "[sync][once][both]") {
    work w;
    std::string log;
    auto a = create_task(call_and_note(&w, &log, 'a'));
    auto b = create_task(call_and_note(&w, &log, 'b'));
    auto c = create_task(call_and_note(&w, &log, 'c'));
    co_await finish(2);
    b.cancel();  // waits
    a.cancel();  // runs
    co_await c;
    CHECK(log == "ABc");
    CHECK(w.done == 1);
    CHECK(w.begun == 2);
}

RONDO_TEST("once: cancelled before, while and after", "[sync][once][cancel][both]") {
    work w;
    const auto make = [&] {
        return [](work* at) -> task<int> {
            co_await at->o.call(do_it, at);
            co_return 0;
        }(&w);
    };
    co_await check_cancelled_before(make);
    CHECK(w.begun == 0);
    event go;
    const auto hold = [](event* e) -> task<> { co_await e->wait(); };
    auto runner = [](work* at, auto run, event* e) -> task<> { co_await at->o.call(run, e); };
    auto running = create_task(runner(&w, hold, &go));
    co_await finish();
    co_await check_cancelled_while_suspended(make);
    CHECK(w.o.waiting() == 0);
    go.set();
    co_await running;
    CHECK(w.o.done());
    co_await check_cancelled_before(make);  // throws although it is done
    CHECK(w.begun == 0);
}

RONDO_TEST("once: describes whether it is done, and the calling task", "[sync][once][both]") {
    work w;
    std::string log;
    CHECK(w.o.describe() == "a once that is not done: a mutex that is not locked");
    auto a = create_task(call_and_note(&w, &log, 'a'), {.name = "first"});
    auto b = create_task(call_and_note(&w, &log, 'b'));
    co_await finish(2);
    CHECK(w.o.describe() == "a once that is not done: a mutex held by task \"first\" and 1 waits");
    co_await b;
    CHECK(w.o.describe() == "a once that is done");
}

RONDO_TEST("once: awaits any awaitable that its function returns", "[sync][once][both]") {
    once slept;
    const time_point from = running_loop().time();
    const auto nap = [] { return sleep(1ms); };
    co_await slept.call(nap);
    CHECK(running_loop().time() - from >= 1ms);
    once limited;
    int ran = 0;
    const auto guarded = [&] {
        auto body = [&ran, owned = std::string(100, 'x')](timeout_scope&) -> task<> {
            ++ran;
            co_return;
        };
        return with_timeout(1h, std::move(body));
    };
    co_await limited.call(guarded);
    CHECK(ran == 1);
    CHECK(limited.done());
}

}  // namespace
