// SPDX-License-Identifier: MIT
// TLS with a peer that is not ours: `openssl s_client` and `openssl s_server`, on the real ring.
#include <rondo/tls.hpp>

#include <string>

#include <rondo/command.hpp>
#include <rondo/process.hpp>
#include <rondo/race.hpp>

#include "support/tls_tools.hpp"

using namespace rondo_tests;

namespace {

/// Files of the test authority, of localhost and of a client.
class pem_files {
public:
    pem_files() {
        const identity server = localhost_identity();
        certificate_wish wish;
        wish.common_name = "ada";
        const identity client = test_authority().issue(wish);
        authority_ = in_.put("ca.pem", test_authority().pem());
        chain = in_.put("chain.pem", server.chain);
        key = in_.put("key.pem", server.key);
        client_chain = in_.put("client.pem", client.chain);
        client_key = in_.put("client.key", client.key);
    }
    const std::string& ca() const { return authority_; }
    std::string chain, key, client_chain, client_key;

private:
    real_folder in_;
    std::string authority_;
};

task<> echo_lines(tls_stream peer) {
    while (auto line = co_await peer.read_line()) co_await peer.write_all("echo ", *line, "\n");
}

/// Reads the output up to the line `wanted`.
task<> until_line(fd_stream& from, std::string wanted) {
    for (;;) {
        const auto line = co_await from.read_line();
        if (!line) throw std::runtime_error("the program did not print " + wanted);
        if (*line == wanted) co_return;
    }
}

/// s_client talks to our server: two lines, with a key update (its command K) between them.
task<> talk_by_s_client(endpoint where, const pem_files& files, std::string version) {
    command client("openssl", "s_client", "-connect", where.text(), "-servername", "localhost",
                   "-CAfile", files.ca(), "-verify_return_error", "-verify_hostname", "localhost");
    client.arg(version).in(pipe).out(pipe).err(same_as_out);
    process program = client.spawn();
    co_await program.in().write_all("hello\n");
    co_await until_line(program.out(), "echo hello");
    if (version == "-tls1_3") {
        co_await program.in().write_all("K\n");
        co_await until_line(program.out(), "KEYUPDATE");  // it drops what comes with the command
    }
    co_await program.in().write_all("again\n");
    co_await until_line(program.out(), "echo again");
    co_await program.in().write_all("Q\n");
    const int code = co_await program.wait();
    CHECK(code == 0);
}

/// A line that s_server gives back from its end to its beginning.
task<bool> reversed_by_s_server(std::uint16_t port, tls::client_context context,
                                tls::version version) {
    auto peer = co_await connect_tls("localhost", port, context);
    co_await peer.write_all("abc\n");
    const auto line = co_await peer.read_line();
    CHECK(line.value() == "cba");
    CHECK(peer.version() == version);
    const bool resumed = peer.resumed();
    co_await peer.close();
    co_return resumed;
}

}  // namespace

RONDO_TEST("tls peers: openssl s_client is served", "[tls][kernel]", limit(30s)) {
    const pem_files files;
    auto identity = tls::server_context(files.chain, files.key);
    auto listener = tls_listener::bind({"127.0.0.1", 0}, identity);
    const endpoint where = listener.local();
    const auto clients = [&]() -> task<> {
        co_await talk_by_s_client(where, files, "-tls1_3");
        co_await talk_by_s_client(where, files, "-tls1_2");
    };
    co_await race(serve(std::move(listener), echo_lines), clients());
}

RONDO_TEST("tls peers: openssl s_server is spoken to, and its sessions are resumed",
           "[tls][kernel]", limit(30s)) {
    const pem_files files;
    for (const tls::version version : {tls::version::tls_1_3, tls::version::tls_1_2}) {
        command server("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", files.chain,
                       "-key", files.key, "-CAfile", files.ca(), "-Verify", "2",
                       "-verify_return_error", "-rev", "-naccept", "3");
        server.arg(version == tls::version::tls_1_3 ? "-tls1_3" : "-tls1_2");
        server.in(devnull).out(pipe).err(devnull);
        process program = server.spawn();
        const std::string start = "ACCEPT 127.0.0.1:";
        std::string line;
        while (line.substr(0, start.size()) != start)
            line = (co_await program.out().read_line()).value();
        const auto port = static_cast<std::uint16_t>(std::stoi(line.substr(start.size())));
        const auto context = tls::client_context()
                                 .trust_file(files.ca())
                                 .certificate(files.client_chain, files.client_key);
        bool resumed = co_await reversed_by_s_server(port, context, version);
        CHECK_FALSE(resumed);
        resumed = co_await reversed_by_s_server(port, context, version);
        CHECK(resumed);
        // Without a certificate it is refused.
        CHECK_THROWS_AS(co_await reversed_by_s_server(port, trusting_context(), version),
                        tls_error);
        const int code = co_await program.wait();
        CHECK(code == 0);
    }
}
