// SPDX-License-Identifier: MIT
// watch_directory: the changes of a folder as they come.
#include <rondo/directory_watch.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <rondo/file_system.hpp>
#include <rondo/gather.hpp>
#include <rondo/sleep.hpp>
#include <rondo/task_group.hpp>

#include "support/core_tools.hpp"
#include "support/file_tools.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::text_of_failure;

using folder = rondo_tests::named_folder;

RONDO_TEST("watch_directory: reports changes, and ends with its directory", "[files][kernel]") {
    const folder in;
    co_await make_directory(in / "watched");
    auto changes = watch_directory(in / "watched");
    using kind = directory_event::kind;
    co_await write_file(in / "watched/a", "x");
    std::vector<kind> seen;
    for (int i = 0; i < 3; ++i) {
        const auto change = co_await changes.next();
        REQUIRE(change);
        CHECK(change->name == "a");
        seen.push_back(change->what);
    }
    CHECK(seen == std::vector<kind>{kind::created, kind::modified, kind::closed});
    co_await rename_path(in / "watched/a", in / "watched/b");
    const auto from = co_await changes.next();
    const auto to = co_await changes.next();
    CHECK(from->what == kind::moved_from);
    CHECK(to->what == kind::moved_to);
    CHECK(to->name == "b");
    CHECK(from->cookie == to->cookie);
    co_await make_directory(in / "watched/d");
    const auto folder_made = co_await changes.next();
    CHECK(folder_made->is_directory);
    co_await remove_tree(in / "watched");
    int removed = 0;
    while (const auto change = co_await changes.next()) removed += change->what == kind::removed;
    CHECK(removed == 2);
    try {
        auto none = watch_directory(in / "watched");
        FAIL("it is gone");
    } catch (const std::system_error& error) {
        CHECK(std::string(error.what()) ==
              "watch " + (in / "watched") + ": No such file or directory");
    }
}

RONDO_TEST("watch_directory: a wait ends in all three forms, and the watch goes on",
           "[files][kernel]") {
    const folder in;
    auto changes = watch_directory(in.path());
    const auto next = [&] { return changes.next(); };
    co_await rondo_tests::check_cancelled_before(next);
    co_await rondo_tests::check_cancelled_while_suspended(next);
    const auto make = [&] { std::filesystem::create_directory(in / "d"); };
    co_await rondo_tests::check_cancelled_after_arrival(next, make);
    // Events that came together are kept, whichever wait is cancelled between them.
    std::filesystem::create_directory(in / "one");
    std::filesystem::create_directory(in / "two");
    auto seen = co_await changes.next();
    REQUIRE(seen);
    CHECK(seen->name == "one");
    co_await rondo_tests::check_cancelled_before(next);
    seen = co_await changes.next();
    REQUIRE(seen);
    CHECK(seen->name == "two");
    const auto none = co_await move_on_after(1ms, changes.next());
    CHECK_FALSE(none);
    std::filesystem::create_directory(in / "three");
    seen = co_await changes.next();
    REQUIRE(seen);
    CHECK(seen->name == "three");
}

RONDO_TEST("watch_directory: one next at a time; the watch may be destroyed while it is awaited",
           "[files][kernel]") {
    const folder in;
    {
        auto changes = std::optional(watch_directory(in.path()));
        auto waiting = create_task(changes->next());
        co_await yield_now();
        const std::string text =
            co_await text_of_failure<invalid_state_error>(changes->next());
        CHECK(text == "directory_watch::next: another task awaits this watch");
        changes.reset();
        try {
            co_await waiting;
            FAIL("there is no watch any more");
        } catch (const std::system_error& error) {
            CHECK(error.code() == std::errc::operation_canceled);
        }
    }
    try {
        const auto other = watch_directory(in.path() + std::string("\0x", 2));
        FAIL("it is no path");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::invalid_argument);
    }
}

RONDO_TEST("watch_directory: two hundred watches share one inotify instance", "[files][kernel]") {
    const folder in;
    std::vector<directory_watch> all;
    const std::string first = in / "0", second = in / "1";
    std::filesystem::create_directory(first);
    std::filesystem::create_directory(second);
    for (int i = 0; i < 200; ++i) all.push_back(watch_directory(i % 2 == 0 ? first : second));
    auto quiet = create_task(all[3].next());
    std::ofstream(first + "/made").close();
    for (std::size_t i = 0; i < all.size(); i += 2) {
        const auto seen = co_await all[i].next();
        REQUIRE(seen);
        CHECK(seen->name == "made");
    }
    CHECK_FALSE(quiet.done());
    auto late = watch_directory(first);  // gets no event from before
    std::ofstream(second + "/other").close();
    const auto other = co_await quiet;
    CHECK(other->name == "other");
    std::ofstream(first + "/last").close();
    const auto last = co_await late.next();
    CHECK(last->name == "last");
    all.clear();
    std::filesystem::remove(first + "/last");
    auto next = co_await late.next();  // `closed` or `attributes` would be from before
    while (next->what != directory_event::kind::removed) next = co_await late.next();
    CHECK(next->name == "last");
}

RONDO_TEST("watch_directory: a shared wait survives the task that began it", "[files][kernel]") {
    const folder in;
    auto one = std::optional(watch_directory(in.path()));
    auto two = watch_directory(in.path());
    auto first = create_task(one->next());
    auto second = create_task(two.next());
    co_await rondo_tests::finish();
    first.cancel();
    co_await rondo_tests::finish();
    CHECK(first.done());
    one.reset();
    std::ofstream(in / "made").close();
    const auto seen = co_await second;
    CHECK(seen->name == "made");
}
