// SPDX-License-Identifier: MIT
// Shows a priority queue between tasks and a thread: patients come as tasks, and one doctor, a
// thread that blocks, treats the most urgent one first. join waits until the doctor is done with
// all of them. Also names of threads, and the list of rondo's threads.
// Run: night_shift
//
//     4 patients wait
//     the doctor treats the broken leg
//     the doctor treats the fever
//     the doctor treats the cough
//     the doctor treats the splinter
//     done with all of them
//     on duty: doctor on the night shift
//     the doctor went home, 0 threads are left
#include <functional>
#include <stop_token>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

struct patient {
    patient(int urgency, std::string with) : rank(urgency), complaint(std::move(with)) {}
    bool operator<(const patient& other) const { return rank < other.rank; }

    int rank;  // 1 is the most urgent
    std::string complaint;
};

using waiting_room = rondo::bridge_priority_queue<patient>;

void treat_patients(std::stop_token stop, waiting_room& room) {
    while (auto next = room.blocking_next(stop)) {  // the thread blocks while no patient waits
        fmt::print("the doctor treats the {}\n", next->complaint);
        room.task_done();
    }
}

rondo::task<> night() {
    waiting_room room(10);  // a task that puts one more would wait
    co_await room.put(patient(3, "cough"));
    co_await room.put(patient(1, "broken leg"));
    co_await room.put(patient(4, "splinter"));
    co_await room.put(patient(2, "fever"));
    fmt::print("{} patients wait\n", room.size());

    rondo::thread doctor("doctor on the night shift", treat_patients, std::ref(room));
    co_await room.join();
    fmt::print("done with all of them\n");
    for (const auto& each : rondo::threads()) fmt::print("on duty: {}\n", each.name);

    room.close();
    co_await doctor.ended();
    fmt::print("the doctor went home, {} threads are left\n", rondo::thread_count());
}

int main() { rondo::run(night()); }
