// SPDX-License-Identifier: MIT
// A server of the files of one folder: ranges, ETag, If-None-Match, index.html. No path and no
// symbolic link leads out of the folder; names that begin with a dot do not exist.
//
// Run: file_server [-p PORT] [-b ADDRESS] FOLDER
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <getopt.h>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

int main(int argc, char** argv) {
    std::string address = "127.0.0.1";
    int port = 8080;
    int option = 0;
    while ((option = getopt(argc, argv, "p:b:")) != -1) {
        if (option == 'p') port = std::atoi(optarg);
        if (option == 'b') address = optarg;
        if (option == '?') return 2;
    }
    if (optind + 1 != argc || !std::filesystem::is_directory(argv[optind])) {
        fmt::print(stderr, "usage: {} [-p PORT] [-b ADDRESS] FOLDER\n", argv[0]);
        return 2;
    }
    try {
        rondo::http::router site;
        site.files("/", argv[optind]);
        auto listener = rondo::tcp_listener::bind({address, static_cast<std::uint16_t>(port)});
        fmt::print("serving {} on http://{}/\n", argv[optind], listener.local().text());
        std::fflush(stdout);
        rondo::run(rondo::http::serve(std::move(listener), site));
    } catch (const std::exception& error) {  // Ctrl-C is none: status 0
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
