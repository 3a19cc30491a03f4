// SPDX-License-Identifier: MIT
// A server of the files of one folder: ranges, ETag, If-None-Match, index.html. No path and no
// symbolic link leads out of the folder; names that begin with a dot do not exist. With a
// certificate it speaks TLS, and then HTTP/2 as well.
//
// Run: file_server [-p PORT] [-b ADDRESS] [-c CHAIN -k KEY] FOLDER
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <getopt.h>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>
#include <rondo/tls.hpp>

template <class Listener>
void serve(Listener listener, const char* scheme, const std::string& folder) {
    rondo::http::router site;
    site.files("/", folder);
    fmt::print("serving {} on {}://{}/\n", folder, scheme, listener.local().text());
    std::fflush(stdout);
    rondo::run(rondo::http::serve(std::move(listener), site));
}

int main(int argc, char** argv) {
    std::string address = "127.0.0.1";
    std::string chain;
    std::string key;
    int port = 8080;
    int option = 0;
    while ((option = getopt(argc, argv, "p:b:c:k:")) != -1) {
        if (option == 'p') port = std::atoi(optarg);
        if (option == 'b') address = optarg;
        if (option == 'c') chain = optarg;
        if (option == 'k') key = optarg;
        if (option == '?') return 2;
    }
    if (optind + 1 != argc || !std::filesystem::is_directory(argv[optind])) {
        fmt::print(stderr, "usage: {} [-p PORT] [-b ADDRESS] [-c CHAIN -k KEY] FOLDER\n", argv[0]);
        return 2;
    }
    try {
        auto listener = rondo::tcp_listener::bind({address, static_cast<std::uint16_t>(port)});
        if (chain.empty())
            serve(std::move(listener), "http", argv[optind]);
        else
            serve(rondo::tls_listener(std::move(listener), {chain, key}), "https", argv[optind]);
    } catch (const std::exception& error) {  // Ctrl-C is none: status 0
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
