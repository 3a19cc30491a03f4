// SPDX-License-Identifier: MIT
// Sources of request bodies.
#include "http/client/body.hpp"

#include <rondo/file.hpp>

#include "http/client/random.hpp"
#include "http/multipart.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using http::body_source;

class bytes_source final : public body_source {
public:
    explicit bytes_source(std::string bytes) noexcept : bytes_(std::move(bytes)) {}
    task<std::string_view> next() override {
        co_return std::exchange(done_, true) ? std::string_view() : std::string_view(bytes_);
    }
    std::optional<std::uint64_t> size() const noexcept override { return bytes_.size(); }
    bool rewind() noexcept override {
        done_ = false;
        return true;
    }

private:
    std::string bytes_;
    bool done_ = false;
};

/// A file, from its first byte to the size that it had when it was opened.
class file_source final : public body_source {
public:
    file_source(file source, std::uint64_t size) : file_(std::move(source)), size_(size) {}
    task<std::string_view> next() override {
        if (at_ == size_) co_return std::string_view();
        if (!buffer_) buffer_ = std::make_unique_for_overwrite<char[]>(buffer_bytes);
        const std::size_t wanted = std::min<std::uint64_t>(buffer_bytes, size_ - at_);
        const buffer_view room(buffer_.get(), wanted);
        const chunk piece = co_await file_.read_at(room, at_);
        if (!piece)
            throw http::error("the file became shorter while it was sent: " + file_.path());
        at_ += piece.size();
        co_return piece.text();
    }
    std::optional<std::uint64_t> size() const noexcept override { return size_; }
    bool rewind() noexcept override {
        at_ = 0;
        return true;
    }

private:
    static constexpr std::size_t buffer_bytes = std::size_t{128} * 1024;
    file file_;
    std::uint64_t size_;
    std::uint64_t at_ = 0;
    std::unique_ptr<char[]> buffer_;
};

class generator_source final : public body_source {
public:
    explicit generator_source(async_generator<std::string> pieces) : pieces_(std::move(pieces)) {}
    task<std::string_view> next() override {
        do {
            auto piece = co_await pieces_.next();
            if (!piece) co_return std::string_view();
            held_ = std::move(*piece);
        } while (held_.empty());  // an empty piece would mean the end
        co_return std::string_view(held_);
    }

private:
    async_generator<std::string> pieces_;
    std::string held_;
};

/// Sources one after the other.
class joined_source final : public body_source {
public:
    void add(std::shared_ptr<body_source> part) { parts_.push_back(std::move(part)); }
    void add(std::string text) { add(std::make_shared<bytes_source>(std::move(text))); }

    task<std::string_view> next() override {
        for (; at_ < parts_.size(); ++at_) {
            const std::string_view piece = co_await parts_[at_]->next();
            if (!piece.empty()) co_return piece;
        }
        co_return std::string_view();
    }
    std::optional<std::uint64_t> size() const noexcept override {
        std::uint64_t sum = 0;
        for (const auto& part : parts_) {
            const auto one = part->size();
            if (!one) return std::nullopt;
            sum += *one;
        }
        return sum;
    }
    bool rewind() noexcept override {
        at_ = 0;
        bool all = true;
        for (const auto& part : parts_) all = part->rewind() && all;
        return all;
    }

private:
    std::vector<std::shared_ptr<body_source>> parts_;
    std::size_t at_ = 0;
};

task<std::shared_ptr<body_source>> open_source(std::string path) {
    file source = co_await file::open(path);
    const std::uint64_t size = co_await source.size();
    co_return std::make_shared<file_source>(std::move(source), size);
}

task<std::shared_ptr<body_source>> make_form(http_request& spec) {
    const std::string boundary = http::make_boundary(random_word(), random_word());
    auto whole = std::make_shared<joined_source>();
    for (const form_part& part : spec.parts) {
        std::string type = part.content_type;
        if (part.is_file && type.empty()) type = "application/octet-stream";
        whole->add(http::part_head(boundary, part.name, part.filename, type));
        if (part.is_file) {
            auto source = co_await open_source(part.value);
            whole->add(std::move(source));
        } else {
            whole->add(part.value);
        }
        whole->add(std::string("\r\n"));
    }
    whole->add(http::closing_boundary(boundary));
    spec.headers.set("content-type", http::multipart_content_type(boundary));
    co_return whole;
}

}  // namespace

task<std::shared_ptr<body_source>> make_body(http_request& spec) {
    using kind = http_request::body_kind;
    switch (spec.body) {
        case kind::none: break;
        case kind::form:
        case kind::bytes: co_return std::make_shared<bytes_source>(std::move(spec.bytes));
        case kind::source:
            if (std::exchange(*spec.source_was_sent, true) && !spec.source->rewind())
                throw http::error("this body can be sent only once, and it was sent before",
                                  spec.method, {});
            co_return std::move(spec.source);
        case kind::file: co_return co_await open_source(spec.bytes);
        case kind::parts: co_return co_await make_form(spec);
    }
    co_return nullptr;
}

}  // namespace detail

namespace http {

request_builder& request_builder::body(async_generator<std::string> pieces,
                                      std::string_view content_type) {
    return body(std::make_shared<rondo::detail::generator_source>(std::move(pieces)),
                content_type);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
