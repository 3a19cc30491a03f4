// SPDX-License-Identifier: MIT
// Shows rondo inside a GLib main loop, and so inside GTK: one source watches loop.fd(). Each side
// has a timer of its own, and both run.
// Run: host_glib
//
//     rondo: 1
//     rondo: 2
//     rondo: 3
//     GLib ticked as well
#include <fmt/core.h>
#include <glib-unix.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> count(GMainLoop* host) {
    for (int i = 1; i <= 3; ++i) {
        co_await rondo::sleep(20ms);
        fmt::print("rondo: {}\n", i);
    }
    g_main_loop_quit(host);
}

int main() {
    GMainLoop* host = g_main_loop_new(nullptr, FALSE);
    rondo::loop loop;
    auto counting = loop.create_task(count(host));

    const auto poll = [](gint, GIOCondition, gpointer word) -> gboolean {
        static_cast<rondo::loop*>(word)->poll();
        return G_SOURCE_CONTINUE;
    };
    const guint watch = g_unix_fd_add(loop.fd(), G_IO_IN, poll, &loop);

    int ticks = 0;
    const auto tick = [](gpointer word) -> gboolean {
        ++*static_cast<int*>(word);
        return G_SOURCE_CONTINUE;
    };
    const guint timer = g_timeout_add(5, tick, &ticks);

    g_main_loop_run(host);
    g_source_remove(timer);
    g_source_remove(watch);
    g_main_loop_unref(host);
    loop.run();  // until the task has ended
    fmt::print("{}\n", ticks > 0 ? "GLib ticked as well" : "GLib was starved");
}
