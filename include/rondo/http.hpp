// SPDX-License-Identifier: MIT
// HTTP, a library of its own, librondo-http: `pkg-config --libs rondo-http`.
//
//     rondo::http::session http;
//     auto response = co_await http.get("https://example.org/");
//     response.raise_for_status();
//     std::string page = co_await response.text();
//
//     http/session.hpp   the client: connections, cookies, defaults
//     http/request.hpp   what to send; awaiting it sends it
//     http/response.hpp  what came back
//     http/url.hpp, http/fields.hpp, http/error.hpp
//     http/json.hpp      bodies in JSON; not included here
#pragma once

#include <rondo/http/error.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/request.hpp>
#include <rondo/http/response.hpp>
#include <rondo/http/session.hpp>
#include <rondo/http/url.hpp>
