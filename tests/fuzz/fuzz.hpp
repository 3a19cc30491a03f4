// SPDX-License-Identifier: MIT
// Tools of the fuzz targets (libFuzzer). A target does not only look for crashes: it states what
// holds for every input, by expect().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace fuzz {

/// Ends the program, so that libFuzzer keeps the input.
inline void expect(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "this does not hold: %s\n", what);
    std::abort();
}

/// The first bytes of an input choose how the rest is cut into pieces: byte N is the size of piece
/// N, the last one repeats; each piece is a heap block of its own, so that the address sanitizer
/// sees a read beyond it.
class cuts {
public:
    explicit cuts(std::string_view& input) {
        for (std::size_t& size : sizes_) {
            if (input.empty()) break;
            size = static_cast<unsigned char>(input.front()) + std::size_t{1};
            input.remove_prefix(1);
        }
    }
    template <class Take>
    void feed(std::string_view text, Take&& take) const {
        for (std::size_t i = 0; !text.empty(); ++i) {
            const std::string_view part = text.substr(0, sizes_[i < 3 ? i : 3]);
            text.remove_prefix(part.size());
            const std::vector<char> block(part.begin(), part.end());
            take(std::string_view(block.data(), block.size()));
        }
    }

private:
    std::size_t sizes_[4] = {1, 1, 1, 1};
};

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
