// SPDX-License-Identifier: MIT
// The cases of bench_http.cpp with libcurl's multi interface, as its manual shows it: handles that
// are used again, curl_multi_poll to wait.
#include <curl/curl.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "http_measures.hpp"

namespace {

constexpr int batches = 15, batch = 1000, at_once = 16, files = 4, idle_connections = 400;

std::size_t keep(char* bytes, std::size_t size, std::size_t count, void* to) {
    static_cast<std::string*>(to)->append(bytes, size * count);
    return size * count;
}

std::size_t write(char* bytes, std::size_t size, std::size_t count, void* to) {
    return std::fwrite(bytes, size, count, static_cast<std::FILE*>(to)) * size;
}

CURL* make(const std::string& url, const std::string& ca) {
    CURL* const one = curl_easy_init();
    curl_easy_setopt(one, CURLOPT_URL, url.c_str());
    curl_easy_setopt(one, CURLOPT_NOSIGNAL, 1L);
    const bool is_2 = std::getenv("HTTP2") != nullptr;
    curl_easy_setopt(one, CURLOPT_HTTP_VERSION,
                     long{is_2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1});
    curl_easy_setopt(one, CURLOPT_PIPEWAIT, is_2 ? 1L : 0L);
    if (!ca.empty()) curl_easy_setopt(one, CURLOPT_CAINFO, ca.c_str());
    return one;
}

/// Runs until `wanted` transfers have ended. Each that ends is begun again while some are left.
void perform(CURLM* multi, int wanted, bool checks) {
    int ended = 0, begun = 0, running = 0;
    begun = std::min(wanted, at_once);
    while (ended < wanted) {
        curl_multi_perform(multi, &running);
        int left = 0;
        while (CURLMsg* const told = curl_multi_info_read(multi, &left)) {
            if (told->msg != CURLMSG_DONE) continue;
            CURL* const one = told->easy_handle;
            long status = 0;
            curl_easy_getinfo(one, CURLINFO_RESPONSE_CODE, &status);
            if (told->data.result != CURLE_OK || status != 200) std::abort();
            ++ended;
            if (!checks) continue;
            std::string* body = nullptr;
            curl_easy_getinfo(one, CURLINFO_PRIVATE, &body);
            if (body->size() != 4096) std::abort();
            curl_multi_remove_handle(multi, one);
            body->clear();
            if (begun == wanted) continue;
            ++begun;
            curl_multi_add_handle(multi, one);
        }
        if (ended < wanted) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
    }
}

void small(CURLM* multi, const std::string& url, const std::string& ca) {
    std::vector<std::string> bodies(at_once);
    std::vector<CURL*> handles;
    for (std::string& body : bodies) {
        handles.push_back(make(url, ca));
        curl_easy_setopt(handles.back(), CURLOPT_WRITEFUNCTION, keep);
        curl_easy_setopt(handles.back(), CURLOPT_WRITEDATA, &body);
        curl_easy_setopt(handles.back(), CURLOPT_PRIVATE, &body);
    }
    std::vector<double> walls, cpus;
    for (int i = 0; i <= batches; ++i) {
        const double wall = wall_ms(), cpu = cpu_ms();
        for (CURL* const one : handles) curl_multi_add_handle(multi, one);
        perform(multi, batch, true);
        if (i == 0) continue;  // opened the connections
        walls.push_back(wall_ms() - wall);
        cpus.push_back(cpu_ms() - cpu);
    }
    std::printf("{\"wall\": %.3f, \"cpu\": %.3f}\n", median(walls), median(cpus));
}

void large(CURLM* multi, const std::string& url, const std::string& folder,
           const std::string& ca) {
    const double wall = wall_ms(), cpu = cpu_ms();
    std::vector<std::FILE*> opened;
    for (int i = 0; i < files; ++i) {
        opened.push_back(std::fopen((folder + "/curl-" + std::to_string(i)).c_str(), "w"));
        CURL* const one = make(url, ca);
        curl_easy_setopt(one, CURLOPT_BUFFERSIZE, 512L * 1024);  // the most that it takes
        curl_easy_setopt(one, CURLOPT_WRITEFUNCTION, write);
        curl_easy_setopt(one, CURLOPT_WRITEDATA, opened.back());
        curl_multi_add_handle(multi, one);
    }
    perform(multi, files, false);
    for (std::FILE* const one : opened) std::fclose(one);
    std::printf("{\"wall\": %.3f, \"cpu\": %.3f}\n", wall_ms() - wall, cpu_ms() - cpu);
}

void idle(CURLM* multi, const std::string& url, const std::string& ca) {
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(idle_connections));
    std::vector<std::string> bodies(idle_connections + 1);
    double before = 0;
    std::vector<CURL*> handles;
    for (const int count : {1, idle_connections}) {
        for (int i = 0; i < count; ++i) {
            std::string& body = bodies[static_cast<std::size_t>(i)];
            CURL* const one = make(url, ca);
            curl_easy_setopt(one, CURLOPT_WRITEFUNCTION, keep);
            curl_easy_setopt(one, CURLOPT_WRITEDATA, &body);
            curl_easy_setopt(one, CURLOPT_PRIVATE, &body);
            curl_multi_add_handle(multi, one);
            handles.push_back(one);
        }
        int running = 1;
        while (running > 0) {
            curl_multi_perform(multi, &running);
            if (running > 0) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
        }
        for (CURL* const one : handles) {  // the connections stay in the multi handle's pool
            curl_multi_remove_handle(multi, one);
            curl_easy_cleanup(one);
        }
        handles.clear();
        for (std::string& body : bodies) body = std::string();
        malloc_trim(0);
        if (count == 1) before = resident_bytes();
    }
    std::printf("{\"bytes\": %.0f, \"connections\": %d}\n",
                (resident_bytes() - before) / idle_connections, idle_connections);
}

}  // namespace

int main(int count, char** given) {
    std::vector<std::string> words(given + 1, given + count);
    words.resize(4);
    if (words[0] != "large") words.insert(words.begin() + 2, "");
    curl_global_init(CURL_GLOBAL_ALL);
    CURLM* const multi = curl_multi_init();
    if (words[0] == "small") small(multi, words[1], words[3]);
    if (words[0] == "large") large(multi, words[1], words[2], words[3]);
    if (words[0] == "idle") idle(multi, words[1], words[3]);
}
