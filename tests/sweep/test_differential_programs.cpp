// SPDX-License-Identifier: MIT
// Random programs of the public interface, the same on the ring, on readiness and on the simulator.
// A program is a tree: concurrent and consecutive parts, races, timeouts, cancellations and errors,
// with streams, files, queues and datagrams at its leaves. Its result does not depend on the time
// that things take, so all kernels must give the same text. 500 programs by default,
// 100 in sanitizer builds, 5,000 with RONDO_LONG=1; RONDO_SEED=7 runs that one alone.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/rondo.hpp>
#include <rondo/testing.hpp>

#include "support/catch.hpp"
#include "support/core_tools.hpp"
#include "support/file_tools.hpp"
#include "sweep/program_leaves.hpp"

using namespace random_program;

namespace {
// -- parts of parts -------------------------------------------------------------------------------

class program {
public:
    explicit program(const part& root) : root_(root) {}

    task<std::string> run() {
        const rondo_tests::folder here;
        folder_ = here / "";
        std::string text;
        try {
            text = co_await of(root_);
        } catch (const std::exception& e) {
            text = std::string("it failed: ") + e.what();
        }
        co_return text;
    }

private:
    std::string path_of(const part& one) const { return folder_ + std::to_string(one.id); }

    task<std::string> of(const part& one) {
        switch (one.what) {
            case part_t::all_of: return all_of(one);
            case part_t::one_by_one: return one_by_one(one);
            case part_t::in_time: return in_time(one);
            case part_t::race: return race_with_a_wait(one);
            case part_t::failing: return with_a_failure(one);
            case part_t::pause: return pause_for(one);
            case part_t::stream: return use_stream(one);
            case part_t::timed_out: return time_out(one);
            case part_t::cancelled: return cancel_one(one);
            case part_t::late: return read_late(one);
            case part_t::closed: return write_to_nobody(one);
            case part_t::refused: return connect_to_nobody(one);
            case part_t::accepted: return leave_an_accept(one);
            case part_t::file: return use_file(one, path_of(one));
            case part_t::folder: return use_folder(path_of(one));
            case part_t::items: return use_queue(one);
            case part_t::datagram: return send_datagram(one);
            case part_t::readable: return await_number(one);
            case part_t::lock: return use_lock(one);
            case part_t::value:
            case part_t::count: break;
        }
        return the_value(one);
    }

    task<std::string> all_of(const part& one) {
        std::vector<task<std::string>> all;
        for (const part& each : one.inner) all.push_back(of(each));
        const std::vector<std::string> results = co_await gather(std::move(all));
        std::string text = "(";
        for (const std::string& each : results) text += each + "|";
        co_return text + ")";
    }

    task<std::string> one_by_one(const part& one) {
        std::string text = "[";
        for (const part& each : one.inner) {
            text += co_await of(each);
            text += ",";
        }
        co_return text + "]";
    }

    task<std::string> in_time(const part& one) {
        const std::string inner = co_await wait_for(10h, of(one.inner[0]));
        co_return "in time " + inner;
    }

    /// The wait never ends, so the other one wins; what the wait asked for is still there.
    task<std::string> race_with_a_wait(const part& one) {
        auto both = co_await make_ends(one, one.b);
        std::string text;
        if (one.a % 2 == 0)
            text = co_await race(waiting_read(*both.reader, one), of(one.inner[0]));
        else
            text = co_await race(of(one.inner[0]), waiting_read(*both.reader, one));
        text += ", " + co_await nothing_is_lost(both);
        co_return text;
    }

    task<std::string> fail_after(const part& one) {
        if (one.b % 2 == 0) co_await sleep(duration(one.b % 100'000));
        throw error("failure " + std::to_string(one.id));
    }

    task<std::string> with_a_failure(const part& one) {
        try {
            auto all = co_await gather(of(one.inner[0]), fail_after(one));
            co_return "no failure";
        } catch (const error& e) {
            co_return e.what();
        }
    }

    const part& root_;
    std::string folder_;
};

std::string run_on(kernel_choice kernel, const part& root) {
    program one(root);
    testing::ring_options options;
    options.loop.kernel = kernel;
    return testing::on_ring([&one] { return one.run(); }, options);
}

std::string run_simulated(const part& root, unsigned seed) {
    program one(root);
    return testing::simulate([&one] { return one.run(); }, {.seed = seed});
}

/// Words of leaves for results that no kernel may give, though all of them agree.
std::string_view must_not_be_in(std::string_view text) {
    for (const std::string_view wrong : {"it failed", "nothing", "other bytes", "early", "written",
                                         "connected", "no failure", "end"})
        if (text.find(wrong) != text.npos) return wrong;
    return {};
}

}  // namespace

TEST_CASE("differential: random programs have the same result on all kernels",
          "[differential_programs]") {
    if (!probe().available()) SKIP("io_uring is denied here");
    const char* const only = std::getenv("RONDO_SEED");
    const unsigned first = only != nullptr ? static_cast<unsigned>(std::atoi(only)) : 1;
    const unsigned count = only != nullptr ? 1 : rondo_tests::long_run() ? 5000
                           : std::getenv("RONDO_SLOW") != nullptr ? 100 : 500;
    std::size_t longest = 0;
    for (unsigned seed = first; seed < first + count; ++seed) {
        const part root = maker(seed).make(3);
        INFO("RONDO_SEED=" << seed << "\n" << text_of(root));
        const std::string simulated = run_simulated(root, seed);
        const std::string on_ring = run_on(kernel_choice::ring, root);
        const std::string on_readiness = run_on(kernel_choice::readiness, root);
        longest = std::max(longest, simulated.size());
        INFO(on_ring);
        REQUIRE(must_not_be_in(on_ring) == "");
        REQUIRE(on_readiness == on_ring);
        REQUIRE(simulated == on_ring);
    }
    if (only == nullptr) CHECK(longest > 200);  // shows that there are large programs
}
