// SPDX-License-Identifier: MIT
// Shows rondo inside a libuv loop: one uv_poll_t watches loop.fd().
// Run: host_libuv
//
//     rondo: 1
//     rondo: 2
//     rondo: 3
//     libuv ticked as well
#include <fmt/core.h>
#include <rondo/rondo.hpp>
#include <uv.h>

using namespace std::chrono_literals;

rondo::task<> count() {
    for (int i = 1; i <= 3; ++i) {
        co_await rondo::sleep(20ms);
        fmt::print("rondo: {}\n", i);
    }
}

int main() {
    uv_loop_t* host = uv_default_loop();
    rondo::loop loop;
    auto counting = loop.create_task(count());

    uv_poll_t watch;
    uv_poll_init(host, &watch, loop.fd());
    watch.data = &loop;
    uv_poll_start(&watch, UV_READABLE, [](uv_poll_t* handle, int, int) {
        static_cast<rondo::loop*>(handle->data)->poll();
    });

    int ticks = 0;
    uv_timer_t timer;
    uv_timer_init(host, &timer);
    timer.data = &ticks;
    uv_timer_start(&timer, [](uv_timer_t* t) { ++*static_cast<int*>(t->data); }, 5, 5);

    while (!counting.done()) uv_run(host, UV_RUN_ONCE);

    uv_close(reinterpret_cast<uv_handle_t*>(&watch), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
    uv_run(host, UV_RUN_DEFAULT);
    uv_loop_close(host);
    fmt::print("{}\n", ticks > 0 ? "libuv ticked as well" : "libuv was starved");
}
