// SPDX-License-Identifier: MIT
// Shows libcurl inside rondo: fetches several pages at once.
// Run: curl_get URL...
//
//     200  11321 bytes  http://127.0.0.1:8080/
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "curl_session.hpp"

using namespace std::chrono_literals;

std::size_t append(char* bytes, std::size_t, std::size_t count, void* text) noexcept {
    try {
        static_cast<std::string*>(text)->append(bytes, count);
        return count;
    } catch (...) {
        return 0;  // makes libcurl end the transfer
    }
}

rondo::task<> get(curl_session* session, std::string url) {
    std::string body;
    CURL* easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &append);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
    try {
        co_await rondo::wait_for(10s, session->perform(easy));
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        fmt::print("{}  {} bytes  {}\n", status, body.size(), url);
    } catch (const std::exception& error) {
        fmt::print("{}\n", error.what());
    }
    curl_easy_cleanup(easy);
}

rondo::task<> get_all(std::vector<std::string> urls) {
    curl_session session;
    std::vector<rondo::task<>> transfers;
    for (const std::string& url : urls) transfers.push_back(get(&session, url));
    co_await rondo::gather(std::move(transfers));
}

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: curl_get URL...\n");
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    rondo::run(get_all, std::vector<std::string>(argv + 1, argv + argc));
    curl_global_cleanup();
}
