// SPDX-License-Identifier: MIT
// The cases of `micro` with sockets, files and programs, by libuv: each callback begins the next
// operation.
#include <fcntl.h>
#include <netinet/in.h>
#include <uv.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "../counts.hpp"

namespace {

using namespace bench;

std::uint64_t sink = 0;

void must(int result) {
    if (result < 0) std::abort();
}

/// A loop, and how many are still to be done on it.
struct world {
    uv_loop_t loop{};
    std::uint64_t left;
    explicit world(std::uint64_t count) : left(count) { must(uv_loop_init(&loop)); }
    measurement run() {
        const std::uint64_t count = left;
        const stopwatch watch;
        begin();
        uv_run(&loop, UV_RUN_DEFAULT);
        if (left != 0) std::abort();
        return watch.per(count);
    }
    virtual void begin() = 0;
    static world& of(const void* handle_or_request) {
        return *static_cast<world*>(static_cast<const uv_handle_t*>(handle_or_request)->data);
    }

protected:
    ~world() = default;
};

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    must(uv_ip4_addr("127.0.0.1", port, &address));
    return address;
}
const sockaddr* plain(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

struct connecting final : world {
    uv_tcp_t listener{}, client{}, server{};
    uv_connect_t request{};
    sockaddr_in where{};
    int ends = 0;  // of the connection that are there, then that are still open

    connecting() : world(connections) {
        must(uv_tcp_init(&loop, &listener));
        const sockaddr_in any = loopback(0);
        must(uv_tcp_bind(&listener, plain(any), 0));
        int size = sizeof where;
        listener.data = client.data = server.data = request.data = this;
        must(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 128, &on_connection));
        must(uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&where), &size));
    }
    void begin() override {
        must(uv_tcp_init(&loop, &client));
        must(uv_tcp_connect(&request, &client, plain(where), [](uv_connect_t* r, int status) {
            must(status);
            must(uv_tcp_nodelay(&self(r).client, 1));
            self(r).one_is_there();
        }));
    }
    static connecting& self(const void* handle) { return static_cast<connecting&>(of(handle)); }
    static void on_connection(uv_stream_t* listening, int status) {
        must(status);
        connecting& all = self(listening);
        must(uv_tcp_init(&all.loop, &all.server));
        must(uv_accept(listening, reinterpret_cast<uv_stream_t*>(&all.server)));
        all.one_is_there();
    }
    void one_is_there() {
        if (++ends != 2) return;
        must(uv_tcp_close_reset(&client, &on_close));
        uv_close(reinterpret_cast<uv_handle_t*>(&server), &on_close);
    }
    static void on_close(uv_handle_t* handle) {
        connecting& all = self(handle);
        if (--all.ends != 0) return;
        if (--all.left != 0)
            all.begin();
        else
            uv_close(reinterpret_cast<uv_handle_t*>(&all.listener), nullptr);
    }
};

struct datagram_by_datagram final : world {
    uv_udp_t here{}, there{};
    uv_udp_send_t request{};
    std::array<char, 64> out{}, in{};
    sockaddr_in to{};
    int ends = 0;  // that are done: sent, received

    datagram_by_datagram() : world(datagrams) {
        const sockaddr_in any = loopback(0);
        for (uv_udp_t* one : {&here, &there}) {
            must(uv_udp_init(&loop, one));
            must(uv_udp_bind(one, plain(any), 0));
            one->data = this;
        }
        request.data = this;
        int size = sizeof to;
        must(uv_udp_getsockname(&there, reinterpret_cast<sockaddr*>(&to), &size));
        must(uv_udp_recv_start(
            &there,
            [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
                auto& self = static_cast<datagram_by_datagram&>(of(handle));
                *buffer = uv_buf_init(self.in.data(), static_cast<unsigned>(self.in.size()));
            },
            &on_datagram));
    }
    void begin() override {
        const uv_buf_t buffer = uv_buf_init(out.data(), static_cast<unsigned>(out.size()));
        must(uv_udp_send(&request, &here, &buffer, 1, plain(to), [](uv_udp_send_t* r, int status) {
            must(status);
            static_cast<datagram_by_datagram&>(of(r)).one_is_there();
        }));
    }
    static void on_datagram(uv_udp_t* handle, ssize_t size, const uv_buf_t*, const sockaddr* from,
                            unsigned) {
        if (from == nullptr) return;  // nothing more for now
        auto& self = static_cast<datagram_by_datagram&>(of(handle));
        sink += static_cast<std::uint64_t>(size);
        self.one_is_there();
    }
    /// The request may be used again when it has been called back, which may be after the datagram
    /// has come.
    void one_is_there() {
        if (++ends != 2) return;
        ends = 0;
        if (--left != 0) return begin();
        for (uv_udp_t* one : {&here, &there})
            uv_close(reinterpret_cast<uv_handle_t*>(one), nullptr);
    }
};

struct program_by_program final : world {
    uv_process_t child{};
    program_by_program() : world(programs) { child.data = this; }
    void begin() override {
        static char name[] = "/bin/true";
        char* arguments[] = {name, nullptr};
        uv_process_options_t how{};
        how.file = name;
        how.args = arguments;
        how.exit_cb = [](uv_process_t* ended, std::int64_t status, int) {
            if (status != 0) std::abort();
            uv_close(reinterpret_cast<uv_handle_t*>(ended), [](uv_handle_t* handle) {
                if (--of(handle).left != 0) of(handle).begin();
            });
        };
        must(uv_spawn(&loop, &child, &how));
    }
};

/// `flying` readers of pieces of `size` bytes, at random or one after the other.
struct reading final : world {
    struct reader {
        reading* all = nullptr;
        uv_fs_t request{};
        std::vector<char> buffer;
        random_numbers random{0};
    };
    std::vector<reader> readers;
    std::uint64_t size, begun = 0;
    bool at_random;
    int fd;

    reading(unsigned flying, std::uint64_t count, std::uint64_t piece, bool anywhere)
        : world(count), readers(flying), size(piece), at_random(anywhere),
          fd(::open(cached_file().c_str(), O_RDONLY | O_CLOEXEC)) {
        for (unsigned i = 0; i < flying; ++i) {
            readers[i].all = this;
            readers[i].buffer.resize(size);
            readers[i].random = random_numbers(first_seed + i * 7919);
        }
    }
    void begin() override {
        for (reader& one : readers) read(one);
    }
    void read(reader& one) {
        const std::uint64_t place = at_random ? one.random.next() % (file_size / size) : begun;
        ++begun;
        one.request.data = &one;
        const uv_buf_t buffer = uv_buf_init(one.buffer.data(), static_cast<unsigned>(size));
        const auto offset = static_cast<std::int64_t>(place * size);
        must(uv_fs_read(&loop, &one.request, fd, &buffer, 1, offset, &on_read));
    }
    static void on_read(uv_fs_t* request) {
        reader& one = *static_cast<reader*>(request->data);
        reading& all = *one.all;
        if (request->result != static_cast<ssize_t>(all.size)) std::abort();
        uv_fs_req_cleanup(request);
        if (--all.left >= all.readers.size()) all.read(one);
    }
};

template <class World>
measurement run_it() {
    return World().run();
}

}  // namespace

int main(int argc, char** argv) {
    const auto by = judged::by_value;
    return bench::run(
        argc, argv,
        {{"connect_accept", "TCP connection, both sides of it", by, run_it<connecting>},
         {"udp_datagram", "datagram of 64 bytes, sent and received", by,
          run_it<datagram_by_datagram>},
         {"spawn_wait", "program started and waited for", by, run_it<program_by_program>},
         {"file_read4k", "read of 4 KiB, one at a time", by,
          [] { return reading(1, reads, read_size, true).run(); }},
         {"file_read4k_qd32", "read of 4 KiB, 32 at a time", by,
          [] { return reading(32, reads, read_size, true).run(); }},
         {"file_read1m", "read of 1 MiB, one after the other", by,
          [] { return reading(1, file_size >> 20, 1u << 20, false).run(); }}});
}
