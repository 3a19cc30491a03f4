// SPDX-License-Identifier: MIT
// Notes in memory, as JSON. With a port it serves; without one it asks itself by a test_client,
// without a socket, and prints:
//     201 /notes/1
//     200 {"id":1,"text":"buy milk"}
//     400 the text is missing
//     200 [{"id":1,"text":"buy milk"}]
//     204
//     404 there is no such note
// Run: api_server [PORT]
#include <charconv>
#include <cstdlib>
#include <map>
#include <string>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/http/json.hpp>
#include <rondo/http/test_client.hpp>
#include <rondo/rondo.hpp>

namespace http = rondo::http;
using nlohmann::json;

class notes {
public:
    rondo::task<http::reply> list(http::request&) const {
        json all = json::array();
        for (const auto& [id, text] : all_) all.push_back(note(id, text));
        co_return http::reply::json(all);
    }
    rondo::task<http::reply> add(http::request& request) {
        const json asked = co_await request.json();
        if (!asked.is_object() || !asked.value("text", json()).is_string())
            throw http::reply_error(400, "the text is missing");
        const int id = ++last_;
        all_[id] = asked["text"];
        const json made = note(id, all_[id]);
        co_return http::reply::json(made, 201).header("location", fmt::format("/notes/{}", id));
    }
    rondo::task<http::reply> show(http::request& request) const {
        const auto found = find(request);
        const json shown = note(found->first, found->second);
        co_return http::reply::json(shown);
    }
    rondo::task<http::reply> remove(http::request& request) {
        all_.erase(find(request));
        co_return http::reply();
    }

private:
    static json note(int id, const std::string& text) {
        json one;
        one["id"] = id;
        one["text"] = text;
        return one;
    }
    std::map<int, std::string>::const_iterator find(http::request& request) const {
        const std::string_view text = request.parameter("id");
        int id = 0;
        std::from_chars(text.data(), text.data() + text.size(), id);
        const auto found = all_.find(id);
        if (found == all_.end()) throw http::reply_error(404, "there is no such note");
        return found;
    }

    std::map<int, std::string> all_;
    int last_ = 0;
};

void add_routes(http::router& site, notes& all) {
    site.get("/notes", &notes::list, &all).post("/notes", &notes::add, &all);
    site.get("/notes/{id}", &notes::show, &all).del("/notes/{id}", &notes::remove, &all);
}

rondo::task<> print(http::request_builder request) {
    auto response = co_await std::move(request);
    std::string text = co_await response.text();
    if (response.status() == 201) text = response.header("location").value();
    if (text.ends_with('\n')) text.pop_back();
    fmt::print("{}{}{}\n", response.status(), text.empty() ? "" : " ", text);
}

rondo::task<> ask_itself(const http::router& site) {
    http::test_client client(site);
    json note;
    note["text"] = "buy milk";
    co_await print(client.post("/notes").json(note));
    co_await print(client.get("/notes/1"));
    co_await print(client.post("/notes").body("{}", "application/json"));
    co_await print(client.get("/notes"));
    co_await print(client.del("/notes/1"));
    co_await print(client.get("/notes/1"));
}

int main(int argc, char** argv) {
    notes all;
    http::router site;
    add_routes(site, all);
    if (argc < 2) {
        rondo::run(ask_itself(site));
        return 0;
    }
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    rondo::run(http::serve(rondo::tcp_listener::bind({"127.0.0.1", port}), site));
}
