// SPDX-License-Identifier: MIT
// A chat room: whoever connects gives a name, and what somebody says everybody else hears. Each
// guest has a queue of lines with a task that sends them; one who reads too slowly to keep up loses
// lines, and the others do not wait.
// Run: chat_room [PORT], then for each guest: nc 127.0.0.1 7050
#include <cstdint>
#include <cstdlib>
#include <list>
#include <memory>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

struct guest {
    explicit guest(std::string n) : name(std::move(n)) {}
    std::string name;
    rondo::queue<std::string> lines{100};
};

std::list<std::shared_ptr<guest>> room;

void tell(const guest* speaker, const std::string& line) {
    for (const auto& each : room)
        if (each.get() != speaker) static_cast<void>(each->lines.try_put(line));  // full: missed
}

rondo::task<> listen(rondo::tcp_stream& peer, guest& who) {
    while (auto line = co_await who.lines.next()) co_await peer.write_all(*line);
}

rondo::task<> speak(rondo::tcp_stream& peer, guest& who) {
    while (auto line = co_await peer.read_line()) tell(&who, fmt::format("{}: {}\n", who.name, *line));
    who.lines.close();
}

// Takes a guest out of the room, in whatever way the connection has ended.
class stay {
public:
    explicit stay(std::shared_ptr<guest> who) : place_(room.insert(room.end(), std::move(who))) {
        tell(place_->get(), fmt::format("* {} came in\n", (*place_)->name));
    }
    ~stay() {
        const auto who = *place_;
        room.erase(place_);
        tell(nullptr, fmt::format("* {} has left\n", who->name));
    }
    stay(const stay&) = delete;
    stay& operator=(const stay&) = delete;

private:
    std::list<std::shared_ptr<guest>>::iterator place_;
};

rondo::task<> chat(rondo::tcp_stream peer) {
    co_await peer.write_all("your name? ");
    const auto name = co_await peer.read_line(40);
    if (!name) co_return;
    const auto who = std::make_shared<guest>(*name);
    const stay here(who);
    co_await rondo::gather(listen(peer, *who), speak(peer, *who));
}

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7050);
    rondo::run(rondo::serve(rondo::tcp_listener::bind({"127.0.0.1", port}), chat));
}
