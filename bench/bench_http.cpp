// SPDX-License-Identifier: MIT
// The HTTP client of rondo in the cases of compare_http.py; its peers have the same ones:
//
//     http small URL [CA]          batches of 1,000 GETs, 16 at a time, on kept connections
//     http large URL FOLDER [CA]   four GETs at a time, each into a file of FOLDER
//     http idle URL [CA]           400 connections that are kept and idle
//
// HTTP/1.1, or HTTP/2 with HTTP2=1 in the environment. The output is one line of JSON: "wall" and
// "cpu" in milliseconds for a batch (the median), or "bytes" of memory for a connection.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

#include "peers/http_measures.hpp"

namespace {

using namespace rondo;
using namespace std::chrono_literals;

constexpr int batches = 15, batch = 1000, at_once = 16, files = 4;
constexpr std::size_t idle_connections = 400;

task<> get_some(http::session& client, std::string url, int count) {
    for (int i = 0; i < count; ++i) {
        auto response = co_await client.get(url);
        const std::string body = co_await response.bytes();
        if (response.status() != 200 || body.size() != 4096) std::abort();
    }
}

task<> one_batch(http::session& client, std::string url) {
    std::vector<task<>> all;
    for (int i = 0; i < at_once; ++i)
        all.push_back(get_some(client, url, batch / at_once + (i < batch % at_once ? 1 : 0)));
    co_await gather(std::move(all));
}

task<> small(http::session& client, std::string url) {
    co_await one_batch(client, url);  // opens the connections
    std::vector<double> walls, cpus;
    for (int i = 0; i < batches; ++i) {
        const double wall = wall_ms(), cpu = cpu_ms();
        co_await one_batch(client, url);
        walls.push_back(wall_ms() - wall);
        cpus.push_back(cpu_ms() - cpu);
    }
    std::printf("{\"wall\": %.3f, \"cpu\": %.3f}\n", median(walls), median(cpus));
}

task<> save(http::session& client, std::string url, std::string path) {
    auto response = co_await client.get(url);
    co_await response.save_to(path);
}

task<> large(http::session& client, std::string url, std::string folder) {
    const double wall = wall_ms(), cpu = cpu_ms();
    std::vector<task<>> all;
    for (int i = 0; i < files; ++i)
        all.push_back(save(client, url, folder + "/rondo-" + std::to_string(i)));
    co_await gather(std::move(all));
    std::printf("{\"wall\": %.3f, \"cpu\": %.3f}\n", wall_ms() - wall, cpu_ms() - cpu);
}

task<> idle(http::session& client, std::string url) {
    co_await get_some(client, url, 1);
    malloc_trim(0);
    const double before = resident_bytes();
    std::vector<task<>> all;
    for (std::size_t i = 0; i < idle_connections; ++i) all.push_back(get_some(client, url, 1));
    co_await gather(std::move(all));
    co_await sleep(2500ms);  // the loop returns unused frames when it was idle for a second
    malloc_trim(0);
    const auto count = static_cast<double>(client.idle_connections());
    std::printf("{\"bytes\": %.0f, \"connections\": %.0f}\n",
                (resident_bytes() - before) / count, count);
}

task<> program(std::string what, std::string url, std::string folder, std::string ca) {
    http::session_options options;
    options.connections = what == "idle" ? idle_connections : at_once;
    options.connections_per_host = options.connections;
    options.version =
        std::getenv("HTTP2") != nullptr ? http::version::http_2 : http::version::http_1_1;
    http::session client(options);
    if (!ca.empty()) client.tls(tls::client_context().trust_file(ca));
    if (what == "small") co_await small(client, url);
    if (what == "large") co_await large(client, url, folder);
    if (what == "idle") co_await idle(client, url);
    co_await client.close();
}

}  // namespace

int main(int count, char** given) {
    std::vector<std::string> words(given + 1, given + count);
    words.resize(4);
    if (words[0] != "large") words.insert(words.begin() + 2, "");
    rondo::run(program(words[0], words[1], words[2], words[3]));
}
