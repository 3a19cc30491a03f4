// SPDX-License-Identifier: MIT
// Shows thread_pool::map: hashes every file of a folder on all cores, a bounded number at a time.
// The walk through the folder is lazy, so the list of files is never in memory as a whole. On a
// terminal a bar shows the progress.
// Run: hash_folder [FOLDER]
//
//     ...
//     3 files, 600003 bytes
#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>
#include <unistd.h>

struct hashed {
    std::string path;
    std::uint64_t hash;
    std::uint64_t bytes;
};

hashed hash_file(const std::string& path) {  // FNV-1a: plain code that blocks and computes
    hashed result{path, 14695981039346656037u, 0};
    std::ifstream file(path, std::ios::binary);
    std::array<char, 64 * 1024> piece;
    while (file.read(piece.data(), piece.size()), file.gcount() > 0) {
        for (std::streamsize i = 0; i < file.gcount(); ++i)
            result.hash =
                (result.hash ^ static_cast<unsigned char>(piece[static_cast<std::size_t>(i)])) *
                1099511628211u;
        result.bytes += static_cast<std::uint64_t>(file.gcount());
    }
    return result;
}

rondo::generator<std::string> files_below(std::string folder) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && !entry.is_symlink()) co_yield entry.path().string();
}

std::uint64_t bytes_below(std::string folder) {
    std::uint64_t bytes = 0;
    for (const std::string& path : files_below(std::move(folder)))
        bytes += std::filesystem::file_size(path);
    return bytes;
}

void draw_bar(std::uint64_t files, std::uint64_t bytes, std::uint64_t all) {
    const double part =
        all == 0 ? 1.0 : std::min(1.0, static_cast<double>(bytes) / static_cast<double>(all));
    const auto full = static_cast<std::size_t>(part * 40);
    fmt::print("\r[{:#<{}}{: <{}}] {:3.0f} %  {} files, {:.1f} MiB", "", full, "", 40 - full,
               part * 100, files, static_cast<double>(bytes) / (1 << 20));
    std::fflush(stdout);
}

rondo::task<> hash_all(std::string folder) {
    const bool watched = ::isatty(STDOUT_FILENO) == 1;
    std::uint64_t all = 0;
    if (watched) all = co_await rondo::to_thread(bytes_below, folder);
    std::uint64_t files = 0, bytes = 0;
    rondo::thread_pool pool;
    auto hashes = pool.map(hash_file, files_below(folder));
    while (auto one = co_await hashes.next()) {
        ++files;
        bytes += one->bytes;
        if (watched)
            draw_bar(files, bytes, all);
        else
            fmt::print("{:016x}  {}\n", one->hash, one->path);
    }
    fmt::print("{}{} files, {} bytes\n", watched ? "\n" : "", files, bytes);
    co_await pool.close();
}

/// Makes a sample folder, if no folder was named.
std::string make_sample() {
    const std::string folder = fmt::format("/tmp/rondo-sample-{}", ::getpid());
    std::filesystem::create_directories(folder + "/inner");
    std::ofstream(folder + "/a") << "abc";
    std::ofstream(folder + "/b") << std::string(200'000, 'b');
    std::ofstream(folder + "/inner/c") << std::string(400'000, 'c');
    return folder;
}

int main(int argc, char** argv) {
    const bool sample = argc < 2;
    const std::string folder = sample ? make_sample() : argv[1];
    rondo::run(hash_all(folder));
    if (sample) std::filesystem::remove_all(folder);
}
