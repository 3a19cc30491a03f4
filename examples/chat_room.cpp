// SPDX-License-Identifier: MIT
// Shows a chat room: each line of a guest is sent to all other guests. Each guest has a bounded
// queue of lines and a task that sends them. If a guest reads too slowly, lines for that guest are
// dropped, and the others do not wait.
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
        if (each.get() != speaker) static_cast<void>(each->lines.try_put(line));  // full: dropped
}

rondo::task<> listen(rondo::tcp_stream& peer, guest& who) {
    while (auto line = co_await who.lines.next()) co_await peer.write_all(*line);
}

rondo::task<> speak(rondo::tcp_stream& peer, guest& who) {
    while (auto line = co_await peer.read_line())
        tell(&who, fmt::format("{}: {}\n", who.name, *line));
    who.lines.close();
}

// Keeps a guest in the room, and removes it however the connection ends.
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
