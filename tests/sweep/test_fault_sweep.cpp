// SPDX-License-Identifier: MIT
// Injects a fault at every operation of all I/O: see fault_sweep.hpp. To add to it, write a
// scenario and a line in the table.
#include "support/core_tools.hpp"
#include "sweep/fault_sweep.hpp"
#include "sweep/composition.hpp"
#include "sweep/connect.hpp"
#include "sweep/files.hpp"
#include "sweep/impatient.hpp"
#include "sweep/network.hpp"
#include "sweep/streams.hpp"
#include "sweep/tasks.hpp"
#include "sweep/unix.hpp"

using namespace fault_sweep;

namespace {

const scenario table[] = {
    {"transfer over TCP", transfer<over_tcp>, hears},
    {"transfer over a pair", transfer<over_pair>, hears},
    {"transfer over a pipe", transfer<over_pipe>, hears},
    {"gathered write over TCP", gathered_write<over_tcp>, hears},
    {"gathered write over a pair", gathered_write<over_pair>, hears},
    {"gathered write over a pipe", gathered_write<over_pipe>, hears},
    {"lines over TCP", lines<over_tcp>, hears},
    {"lines over a pair", lines<over_pair>, hears},
    {"lines over a pipe", lines<over_pipe>, hears},
    {"views over TCP", views<over_tcp>, hears},
    {"views over a pair", views<over_pair>, hears},
    {"views over a pipe", views<over_pipe>, hears},
    {"mixed reads over TCP", mixed_reads<over_tcp>, hears},
    {"mixed reads over a pair", mixed_reads<over_pair>, hears},
    {"mixed reads over a pipe", mixed_reads<over_pipe>, hears},
    {"reads as results over TCP", result_reads<over_tcp>, hears},
    {"reads as results over a pair", result_reads<over_pair>, hears},
    {"reads as results over a pipe", result_reads<over_pipe>, hears},
    {"impatient reads over TCP", impatient_reads<over_tcp>, hears},
    {"impatient reads over a pair", impatient_reads<over_pair>, hears},
    {"impatient reads over a pipe", impatient_reads<over_pipe>, hears},
    {"lines left again and again over TCP", left_lines<over_tcp>, hears},
    {"lines left again and again over a pair", left_lines<over_pair>, hears},
    {"lines left again and again over a pipe", left_lines<over_pipe>, hears},
    {"closed under a read over TCP", closed_under_a_read<over_tcp>},
    {"closed under a read over a pair", closed_under_a_read<over_pair>},
    {"closed under a read over a pipe", closed_under_a_read<over_pipe>},
    {"the reader leaves over TCP", reader_leaves<over_tcp>},
    {"the reader leaves over a pair", reader_leaves<over_pair>},
    {"the reader leaves over a pipe", reader_leaves<over_pipe>},
    {"echo over TCP", echo<over_tcp>, hears},
    {"echo over a pair", echo<over_pair>, hears},
    {"half close over TCP", half_close<over_tcp>, hears},
    {"half close over a pair", half_close<over_pair>, hears},
    {"split halves over TCP", split_halves<over_tcp>, hears},
    {"split halves over a pair", split_halves<over_pair>, hears},
    {"accept storm", accept_storm},
    {"serve, few at once", serve_few_at_once},
    {"serve, with failing handlers", serve_with_failing_handlers, reports},
    {"a server is shut down under its connections", server_shut_down_under_connections},
    {"a listener is closed while accepting", listener_closed_while_accepting},
    {"nobody accepts", nobody_accepts},
    {"connections in a group", connections_in_a_group, hears},
    {"a pipeline of queues", queue_pipeline, hears},
    {"connect: refused", connect_refused},
    {"connect: with a timeout", connect_with_timeout},
    {"connect: a race, of which one never answers", race_of_connects},
    {"connect: a race", race_of_two_good_connects},
    {"connect: until somebody listens", connect_until_somebody_listens},
    {"the network: reset in the middle", reset_in_the_middle, reports},
    {"the network: cut for a while", cut_in_the_middle, hears},
    {"datagrams: with loss", datagrams_with_loss},
    {"datagrams: to nobody", datagrams_to_nobody},
    {"file: written and read", file_written_and_read, hears},
    {"file: copied", file_copied, hears},
    {"file: read at offsets", file_read_at_offsets, hears},
    {"file: appended", file_appended, hears},
    {"file: replaced", file_replaced},
    {"file: a tree", tree_made_and_removed},
    {"file: not there", file_that_is_not_there},
    {"file: sent", file_sent, hears},
    {"file: several in parallel", files_in_parallel, hears},
    {"tasks: settled one by one", settled_one_by_one},
    {"tasks: handed over by a queue", handed_over<queue<int>>, hears},
    {"tasks: handed over by a bridge", handed_over<bridge_queue<int>>, hears},
    {"tasks: one at a time", locked_files, hears},
    {"tasks: cleaned up under a shield", cleaned_up_under_shield, hears},
    {"tasks: jobs elsewhere", jobs_elsewhere, hears},
    {"tasks: detached and awaited", detached_and_awaited, hears},
    {"transfer over a Unix connection", transfer<over_unix>, hears},
    {"lines over a Unix connection", lines<over_unix>, hears},
    {"echo over a Unix connection", echo<over_unix>, hears},
    {"half close over a Unix connection", half_close<over_unix>, hears},
    {"unix: serve", serve_unix},
    {"unix: a name is taken over", unix_name_taken_over},
    {"unix: nobody listens", unix_nobody_listens},
    {"unix: a listener is closed while accepting", unix_listener_closed},
    {"unix: a descriptor that travels", descriptor_passed},
    {"unix: descriptors that nobody takes", descriptor_left_on_its_way},
    {"streams: copied", streams_copied, hears},
    {"streams: into a file", received_into_a_file, hears},
    {"streams: a part of a file", part_of_a_file_sent, hears},
    {"streams: through memory", through_memory, hears},
    {"streams: limits over TCP", limits_of_reads<over_tcp>, hears},
    {"streams: limits over a pipe", limits_of_reads<over_pipe>, hears},
    {"file: cut and grown", file_cut_and_grown, hears},
    {"readiness: awaited", waited_until_readable},
    {"several: lines by a generator", generated_lines, hears},
    {"several: broadcast to writers", broadcast_to_writers, hears},
    {"several: few connections at once", few_connections_at_once},
    {"several: a child that fails", child_that_fails},
    {"several: a deadline in a read", deadline_in_a_read, hears},
    {"datagrams: connected", datagrams_connected},
    {"by name: one refuses", name_with_one_that_refuses},
    {"by name: one is silent", name_with_one_that_is_silent},
    {"by name: all answer", name_with_three_that_answer},
    {"by name: all refuse", name_where_all_refuse},
    {"by name: all are silent", name_where_all_are_silent},
    {"by name: one that nobody knows", name_that_nobody_knows},
    {"connect: an exchange is tried again", exchange_tried_again},
    {"connect: aborted by the peer", aborted_by_the_peer},
    {"a server is given time", server_with_grace},
    {"unix: peers that are known", peers_known, hears},
    {"unix: descriptors that are refused", descriptors_refused, hears},
    {"datagrams: to several", datagrams_to_several, hears},
    {"datagrams: of all sizes", datagrams_of_all_sizes, hears},
    {"streams: through a proxy", through_a_proxy, hears},
    {"streams: copied piecewise", copied_piecewise, hears},
    {"streams: lines of one's own", buffered_lines, hears},
    {"file: whole", whole_files, hears},
    {"file: in parts", file_in_parts, hears},
    {"several: a deadline that moves", deadline_that_moves, hears},
    {"several: a race of reads", race_of_reads},
    {"several: a loop of selects", loop_of_selects},
    {"several: merged lines", merged_lines},
    {"several: a generator is left", generator_left, hears},
    {"several: the latest is written", latest_written, hears},
    {"several: done one by one", done_one_by_one, hears},
    {"several: opened once", opened_once},
    {"several: one shared, and left", shared_and_left, hears},
    {"several: the first of three", first_of_three},
    {"left: accepts", accepts_left},
    {"left: connects", connects_left, waits},
    {"left: connects by name", connects_by_name_left, waits},
    {"left: all kinds of reads over TCP", all_reads_left<over_tcp>, hears},
    {"left: all kinds of reads over a Unix connection", all_reads_left<over_unix>, hears},
    {"left: all kinds of reads over a pipe", all_reads_left<over_pipe>, hears},
    {"left: views over TCP", views_left<over_tcp>, hears},
    {"left: views over a pipe", views_left<over_pipe>, hears},
    {"left: descriptors", descriptors_left, hears},
    {"left: files", files_opened_impatiently},
    {"left: copies", copies_left, hears},
    {"left: into a file", receptions_left, hears},
    {"left: items of a queue", items_left<queue<int>>, hears},
    {"left: items of a bridge", items_left<bridge_queue<int>>, hears},
    {"left: permits", permits_left, hears},
    {"left: with a goodbye", goodbyes},
};

// -- faulty scenarios that the sweep must find: each is right until an operation fails ------------

/// Leaves a descriptor open if the first write fails.
task<> leaks_a_descriptor(verdict&) {
    int number[2];
    if (detail::new_socket_pair(AF_UNIX, SOCK_STREAM, 0, number) < 0) throw error("no pair");
    try {
        co_await sweep_write("f", "x");
    } catch (const std::exception&) {
        fd_stream(descriptor::adopt(number[0], "one"));
        throw;
    }
    fd_stream one(descriptor::adopt(number[0], "one"));
    fd_stream other(descriptor::adopt(number[1], "other"));
}

task<> swallows_errors(verdict&) {
    try {
        co_await sweep_write("f", "x");
    } catch (const std::exception&) {
    }
}

task<> loses_a_byte(verdict& v) {
    co_await sweep_write("f", "x");
    auto from = co_await file::open("f");
    std::string buffer(1, '?');
    std::string got;
    try {
        auto chunk = co_await from.read_some(buffer);
        got = chunk.text();
    } catch (const std::exception&) {  // takes an error for the end of the file
    }
    v.expect(got == "x", "the byte is read");
}

task<> waits_forever(verdict&) {
    event done;
    try {
        co_await sweep_write("f", "x");
        done.set();
    } catch (const std::exception&) {
    }
    co_await done.wait();
}

task<> fakes_a_cancellation(verdict&) {
    try {
        co_await sweep_write("f", "x");
    } catch (const std::system_error& e) {
        if (e.code().value() == ECANCELED) throw cancelled();
        throw;
    }
}

}  // namespace

TEST_CASE("fault sweep: finds scenarios that are wrong only after a failure", "[sweep]") {
    const auto finds = [](scenario s, std::string_view what) {
        tally sum;
        sweep(s, 2, sum);
        INFO("its first defect of " << s.name << ": "
                                    << (sum.defects.empty() ? "" : sum.defects[0]));
        bool found = false;
        for (const std::string& defect : sum.defects)
            found = found || (defect.find(what) != std::string::npos &&
                              defect.find("nothing at") == std::string::npos);
        CHECK(found);
    };
    finds({"a leak", leaks_a_descriptor}, "1 descriptors of the simulated kernel are open");
    finds({"a lost error", swallows_errors, hears}, "an error was lost");
    finds({"a lost byte", loses_a_byte}, "the byte is read");
    finds({"a wait", waits_forever}, "it waited forever");
    finds({"a cancellation", fakes_a_cancellation}, "was not cancelled");
}

TEST_CASE("fault sweep: a fault at every operation and call is an error at worst", "[sweep]") {
    const auto seeds =
        static_cast<std::uint64_t>(rondo_tests::long_run() ? 8 : rondo_tests::many(2, 1));
    const char* const only = std::getenv("RONDO_SCENARIO");
    tally sum;
    for (const scenario& s : table) {
        if (only != nullptr && std::string_view(s.name).find(only) == std::string_view::npos)
            continue;
        INFO("scenario " << s.name);
        sweep(s, seeds, sum);
        if (sum.defects.size() >= enough) break;
    }
    for (const std::string& defect : sum.defects) FAIL_CHECK(defect);
    std::printf("fault sweep: %llu injected runs over %llu scenarios, %llu operations and %llu "
                "calls; %llu ended with an error\n",
                static_cast<unsigned long long>(sum.injected),
                static_cast<unsigned long long>(sum.scenarios),
                static_cast<unsigned long long>(sum.operations),
                static_cast<unsigned long long>(sum.calls),
                static_cast<unsigned long long>(sum.failed_runs));
    if (only != nullptr) return;
    CHECK(sum.scenarios >= 137);
    CHECK(sum.injected >= seeds * 5'000);
    CHECK(sum.failed_runs > sum.injected / 4);  // shows that faults are injected
}
