// SPDX-License-Identifier: MIT
// A chat in the browser: rooms and names over WebSocket, the number of guests by server-sent
// events. Each guest has a bounded queue of lines. A guest that takes them too slowly is closed, so
// the others do not wait. Ctrl-C says goodbye to all; their pages connect again by themselves.
// Run: chat [PORT [CHAIN.pem KEY.pem]], then open http://localhost:8084/ (with files: https://)
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>
#include <rondo/tls.hpp>

using namespace std::chrono_literals;
namespace http = rondo::http;

const char* const page = R"html(<!doctype html>
<html lang="en"><meta charset="utf-8"><title>chat</title>
<meta name="viewport" content="width=device-width">
<style>
  body { font: 16px/1.4 sans-serif; margin: 0 auto; max-width: 34em; padding: 1em; color: #234 }
  header { display: flex; gap: .5em; align-items: baseline }
  h1 { margin: 0; font-size: 1.4em; flex: 1 }
  #lines { height: 15em; overflow: auto; list-style: none; margin: 1em 0; padding: .6em 1em;
           background: #f3f6f9; border-radius: .5em }
  #lines .note { color: #789 }
  form { display: flex; gap: .5em } input { font: inherit; padding: .3em .5em }
  #text { flex: 1 } .state { color: #789; font-size: .9em }
</style>
<header><h1>Room <span id="room"></span></h1><span class="state" id="guests"></span></header>
<ul id="lines"></ul>
<form><input id="text" placeholder="say something" autocomplete="off"><button>Send</button></form>
<p class="state"><span id="state"></span> &middot; rooms: <span id="rooms"></span></p>
<script>
const asked = new URLSearchParams(location.search);
const room = asked.get("room") || "lobby";
const name = asked.get("name") || prompt("Your name?") || "guest";
const by = id => document.getElementById(id);
by("room").textContent = room;
let socket;
function show(text, kind) {
  const line = document.createElement("li");
  line.textContent = text;
  line.className = kind;
  by("lines").append(line);
  line.scrollIntoView();
}
function connect() {
  const base = location.origin.replace(/^http/, "ws");
  socket = new WebSocket(`${base}/chat/${encodeURIComponent(room)}?name=${encodeURIComponent(name)}`);
  socket.onopen = () => { by("state").textContent = `connected as ${name}`; };
  socket.onmessage = e => show(e.data, e.data.startsWith("*") ? "note" : "line");
  socket.onclose = e => {
    by("state").textContent = e.code == 1001 ? "the server is going away" : `closed (${e.code})`;
    setTimeout(connect, 500);
  };
}
document.forms[0].onsubmit = e => {
  e.preventDefault();
  if (!by("text").value || socket.readyState != WebSocket.OPEN) return;
  socket.send(by("text").value);
  by("text").value = "";
};
new EventSource("/guests").onmessage = async e => {
  by("guests").textContent = e.data;
  by("rooms").textContent = await (await fetch("/rooms")).text();
};
connect();
</script>
</html>
)html";

struct guest {
    explicit guest(std::string n) : name(std::move(n)) {}
    std::string name;
    rondo::queue<std::string> lines{100};
};

class chat_site {
public:
    rondo::task<> join(http::request& request, http::websocket socket) {
        const std::string name = shortened(request.query("name").value_or("guest"));
        const std::string room(request.parameter("room"));
        const std::string greeting = fmt::format("* welcome to {}, {}", room, name);
        bool is_greeted = true;
        try {
            co_await socket.send_text(greeting);
        } catch (const http::error&) {  // no UTF-8: the others never hear of it
            is_greeted = false;
        }
        if (!is_greeted) co_return co_await socket.close(1007, "names are UTF-8");
        const stay here(*this, room, name);
        co_await rondo::race(listen(socket, here.who()), speak(socket, here));
    }
    http::reply rooms(http::request&) {
        std::string all;
        for (const auto& [name, guests] : rooms_)
            all += fmt::format("{}{} ({})", all.empty() ? "" : ", ", name, guests.size());
        return http::reply::text(all);
    }
    http::reply guests(http::request&) {
        return http::reply::stream("text/event-stream", &chat_site::count_guests, this);
    }

private:
    using guest_list = std::list<guest>;

    // Keeps a guest in a room, and removes it however the connection ends.
    class stay {
    public:
        stay(chat_site& site, std::string room, std::string name)
            : site_(site),
              room_(std::move(room)),
              place_(site.rooms_[room_].emplace(site.rooms_[room_].end(), std::move(name))) {
            tell(fmt::format("* {} came in", place_->name));
            site_.count();
        }
        ~stay() {
            const std::string name = place_->name;
            site_.rooms_[room_].erase(place_);
            tell(fmt::format("* {} has left", name));
            if (site_.rooms_[room_].empty()) site_.rooms_.erase(room_);
            site_.count();
        }
        stay(const stay&) = delete;
        stay& operator=(const stay&) = delete;

        guest& who() const { return *place_; }
        void tell(const std::string& line) const {
            for (guest& each : site_.rooms_[room_])
                if (!each.lines.closed() && !each.lines.try_put(line)) each.lines.close();
        }

    private:
        chat_site& site_;
        std::string room_;
        guest_list::iterator place_;
    };

    /// At most 40 bytes, and no half of a character.
    static std::string shortened(std::string_view name) {
        std::size_t size = std::min<std::size_t>(name.size(), 40);
        while (size < name.size() && size != 0 && (name[size] & 0xc0) == 0x80) --size;
        return std::string(name.substr(0, size));
    }
    static rondo::task<> listen(http::websocket& socket, guest& who) {
        while (auto line = co_await who.lines.next()) {
            if (who.lines.closed()) break;  // the rest is not waited for
            co_await socket.send_text(*line);
        }
        co_await socket.close(1008, "too slow");
    }
    static rondo::task<> speak(http::websocket& socket, const stay& here) {
        while (auto message = co_await socket.next())
            here.tell(fmt::format("{}: {}", here.who().name, message->text()));
    }
    rondo::task<> count_guests(http::body_writer& out) {
        std::uint64_t seen = 0;
        while (co_await total_.changed(seen))
            co_await out.send(fmt::format("guests: {}", total_.get()));
    }
    void count() {
        std::size_t all = 0;
        for (const auto& [name, guests] : rooms_) all += guests.size();
        total_.set(all);
    }

    std::map<std::string, guest_list> rooms_;
    rondo::watch<std::size_t> total_{0};
};

http::reply show_page(http::request&) { return http::reply::html(page); }

rondo::task<> serve(std::uint16_t port, std::string_view chain, std::string_view key) {
    chat_site all;
    http::router site;
    site.get("/", show_page);
    site.get("/rooms", &chat_site::rooms, &all);
    site.get("/guests", &chat_site::guests, &all);
    const auto join = [&all](http::request& request, http::websocket socket) {
        return all.join(request, std::move(socket));
    };
    site.websocket("/chat/{room}", join, {.message_bytes = 4096});
    const rondo::endpoint where("127.0.0.1", port);
    const http::server_options options{.grace = 1s};
    if (chain.empty()) {
        co_await http::serve(rondo::tcp_listener::bind(where), site, options);
    } else {
        rondo::tls::server_context identity(chain, key);
        co_await http::serve(rondo::tls_listener::bind(where, identity), site, options);
    }
}

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8084);
    rondo::run(serve(port, argc > 3 ? argv[2] : "", argc > 3 ? argv[3] : ""));
}
