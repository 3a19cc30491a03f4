// SPDX-License-Identifier: MIT
// The protocol of pools and workers: frames, errors and calls, right and wrong ones. Fuzzed bytes
// come from a seed that is printed; RONDO_SEED repeats it.
#include "multiprocess/pool/worker.hpp"

#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <random>
#include <vector>

#include <rondo/run.hpp>
#include <rondo/process.hpp>

#include "multiprocess/pool/function_address.hpp"
#include "multiprocess/pool/errors.hpp"
#include "support/process_tools.hpp"

using namespace rondo_tests;
using namespace rondo::detail;

extern "C" bool rondo_tests_take_over(int count, char** arguments) {
    return rondo::process_worker(count, arguments);
}

namespace {

long touched = 0;
int add(int a, int b) { return ++touched, a + b; }
std::string text_with(std::string_view text, std::vector<int> numbers) {
    return ++touched, std::string(text) + std::to_string(numbers.size());
}

constexpr std::size_t size_max = 1 << 20;

std::string call_of_add() { return pack_call(add, 2, 3).bytes; }
std::string call_of_text() { return pack_call(text_with, "some", std::vector<int>{1, 2, 3}).bytes; }

std::string as_frame(frame_kind kind, std::uint64_t job, const std::string& body) {
    const head_bytes head = pack_head(kind, job, body);
    return std::string(head.data(), head.size()) + body;
}

/// Reads a frame as both sides do.
/// Throws: frame_error.
std::pair<frame_head, std::string> parse(const std::string& bytes) {
    head_bytes head;
    if (bytes.size() < head.size()) throw frame_error("too short");
    std::memcpy(head.data(), bytes.data(), head.size());
    const frame_head parsed = parse_head(head, size_max);
    const std::string body = bytes.substr(head.size(), parsed.size);
    check_seal(parsed, body);
    return {parsed, body};
}

/// Changes, removes or inserts a few bytes.
std::string damaged(std::string bytes, std::mt19937_64& random) {
    const auto place = [&] { return random() % (bytes.size() + 1); };
    switch (random() % 4) {
        case 0: bytes.resize(place()); break;
        case 1: bytes.insert(place(), 1 + random() % 8, static_cast<char>(random())); break;
        case 2: bytes.erase(place(), 1 + random() % 8); break;
        default:
            for (auto times = 1 + random() % 4; times != 0 && !bytes.empty(); --times)
                bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    return bytes;
}

std::mt19937_64 seeded(std::uint64_t seed) {
    UNSCOPED_INFO("RONDO_SEED=" << seed);
    return std::mt19937_64(seed);
}

}  // namespace

TEST_CASE("process_worker: a sent frame is parsed, anything else is refused", "[process_worker]") {
    for (const std::string& body :
         {std::string(), std::string("x"), std::string(7, 'y'), std::string(100'000, 'z')}) {
        const auto [head, came] = parse(as_frame(frame_kind::value, 77, body));
        CHECK(head.kind == frame_kind::value);
        CHECK(head.job == 77);
        CHECK(came == body);
    }
    CHECK_THROWS_AS(parse(as_frame(frame_kind{0}, 1, "a")), frame_error);
    CHECK_THROWS_AS(parse(as_frame(frame_kind{8}, 1, "a")), frame_error);
    CHECK_THROWS_AS(parse(as_frame(frame_kind::value, 1, std::string(size_max + 1, 'a'))),
                    frame_error);
    const std::string good = as_frame(frame_kind::value, 1, "some text");
    for (std::size_t i = 0; i < good.size(); ++i)
        for (const int bit : {1, 16, 128}) {
            std::string bad = good;
            bad[i] = static_cast<char>(bad[i] ^ bit);
            CHECK_THROWS_AS(parse(bad), frame_error);
        }
}

TEST_CASE("process_worker: a call is made, and its errors are answers", "[process_worker]") {
    const auto answer = make_call(call_of_add(), size_max);
    CHECK(answer.kind == frame_kind::value);
    CHECK(rondo::deserialize<int>(answer.body) == 5);
    CHECK(make_call(call_of_text(), 3).kind == frame_kind::failed);  // too long
    CHECK(make_call("", size_max).kind == frame_kind::failed);
    const auto thrown =
        make_call(pack_call([]() -> int { throw std::out_of_range("here"); }).bytes, size_max);
    REQUIRE(thrown.kind == frame_kind::failed);
    CHECK_THROWS_AS(std::rethrow_exception(unpack_exception(thrown.body)), std::out_of_range);
    // an offset outside the code, a module that is not loaded, no function
    const auto module = address_of(reinterpret_cast<any_function>(&add)).module;
    for (const auto& [id, offset, kind] :
         {std::tuple(module, std::uint64_t{3}, frame_kind::failed),
          std::tuple(std::string("b12345"), std::uint64_t{3}, frame_kind::missing),
          std::tuple(std::string(), std::uint64_t{0}, frame_kind::failed)}) {
        std::string call;
        word_writer to(call);
        for (int i = 0; i < 2; ++i) {
            to.text(id);
            to.number(offset);
        }
        CHECK(make_call(call, size_max).kind == kind);
    }
}

// The seal makes a fuzzed call harmless: without it the worker would jump to a damaged offset.
TEST_CASE("process_worker: fuzzed frames are errors, at both ends", "[process_worker]") {
    const std::vector<std::string> good{
        as_frame(frame_kind::call, 1, call_of_add()),
        as_frame(frame_kind::call, 2, call_of_text()),
        as_frame(frame_kind::value, 3, "12345678"),
        as_frame(frame_kind::failed, 4, pack_exception(std::out_of_range("out"))),
    };
    for (const std::uint64_t seed : testing::seeds(1)) {
        auto random = seeded(seed);
        touched = 0;
        int refused = 0;
        const int rounds = many(40'000, 20'000);
        for (int i = 0; i < rounds; ++i) {
            const std::string& whole = good[random() % good.size()];
            const std::string bad = damaged(whole, random);
            try {
                const auto [head, body] = parse(bad);
                if (bad.compare(0, whole.size(), whole) != 0) FAIL("a damaged frame was accepted");
            } catch (const frame_error&) {
                ++refused;
            }
        }
        CHECK(refused > rounds / 2);
        CHECK(touched == 0);
    }
}

TEST_CASE("process_worker: fuzzed arguments and fuzzed errors are errors", "[process_worker]") {
    for (const std::uint64_t seed : testing::seeds(1)) {
        auto random = seeded(seed);
        const std::string call = call_of_text();
        const std::string addresses =
            address_call(pack_call(text_with, "", std::vector<int>()).invoker,
                         reinterpret_cast<any_function>(&text_with));
        REQUIRE(call.starts_with(addresses));
        const std::string arguments = call.substr(addresses.size());
        const std::string error =
            pack_exception(std::system_error(ENOENT, std::generic_category(), "open"));
        for (int i = 0; i < many(40'000, 20'000); ++i) {
            const auto answer = make_call(addresses + damaged(arguments, random), size_max);
            if (answer.kind != frame_kind::value && answer.kind != frame_kind::failed)
                FAIL("the answer has another kind");
            try {
                unpack_exception(damaged(error, random));
            } catch (const frame_error&) {
            }
        }
    }
}

// -- a real worker --------------------------------------------------------------------------------

namespace {

/// A worker that is started as by a pool; the test has the other end of its socket.
class bare_worker {
public:
    bare_worker() {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
        line_ = ends[0];
        rondo::command worker("/proc/self/exe", "--rondo-worker=65536");
        process_.emplace(worker.in(ends[1]).spawn());
        ::close(ends[1]);
    }
    ~bare_worker() { ::close(line_); }

    void send(const std::string& bytes) const {
        if (::send(line_, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0 && errno != EPIPE)
            std::abort();
    }
    void end() const { ::shutdown(line_, SHUT_WR); }
    /// Reads its output up to the end.
    std::string read() const {
        std::string all;
        char part[4096];
        for (ssize_t size; (size = ::recv(line_, part, sizeof part, 0)) > 0;)
            all.append(part, static_cast<std::size_t>(size));
        return all;
    }
    rondo::process& program() { return *process_; }

private:
    int line_;
    std::optional<rondo::process> process_;
};

task<> fuzz_one(std::string bytes, bool greets) {
    bare_worker worker;
    if (greets) worker.send(as_frame(frame_kind::start, 0, {}));
    worker.send(bytes);
    worker.end();
    const std::string said = worker.read();
    const int code = co_await worker.program().wait();
    if (code != 0) throw rondo::error("a worker ended with " + std::to_string(code));
    if (greets && !said.starts_with(as_frame(frame_kind::ready, 0, {})))
        throw rondo::error("the worker is not ready");
}

}  // namespace

TEST_CASE("process_worker: a worker exits normally on any fuzzed frame", "[process_worker]") {
    const nothing_left left;
    for (const std::uint64_t seed : testing::seeds(1)) {
        auto random = seeded(seed);
        const std::string call = as_frame(frame_kind::call, 1, call_of_add());
        const std::string start = as_frame(frame_kind::start, 0, {});
        run([&]() -> task<> {
            for (int i = 0; i < many(300, 30); ++i) {
                const bool greets = i % 3 != 0;
                auto one = fuzz_one(damaged(greets ? call : start, random), greets);
                co_await std::move(one);
            }
        });
    }
    CHECK(left.text() == "");
}

// -- a module that the workers lack ---------------------------------------------------------------

TEST_CASE(
    "process_worker: a function whose module the workers lack is an error that names the module",
    "[process_worker]") {
    const nothing_left left;
    void* const plugin = ::dlopen("./libprocess_plugin.so", RTLD_NOW | RTLD_LOCAL);
    REQUIRE(plugin != nullptr);
    const auto answer = reinterpret_cast<int (*)(int)>(::dlsym(plugin, "plugin_answer"));
    CHECK(answer(1) == 43);
    {
        process_pool pool(1);
        const auto job = pool.submit(answer, 1);
        CHECK_THROWS_AS(job.get(), rondo::error);
        CHECK(failure_of(job).find("libprocess_plugin.so") != std::string::npos);
        CHECK(pool.submit(add, 1, 1).get() == 2);
        CHECK(pool.stats().restarted == 0);
    }
    {
        const auto load = [] {
            if (::dlopen("./libprocess_plugin.so", RTLD_NOW | RTLD_LOCAL) == nullptr)
                throw std::runtime_error(::dlerror());
        };
        process_pool pool({.workers = 1}, load);
        CHECK(pool.submit(answer, 1).get() == 43);
    }
    ::dlclose(plugin);
    CHECK(left.text() == "");
}
