// SPDX-License-Identifier: MIT
// TLS: streams that are encrypted, and whose other side is known. A library of its own,
// librondo-http: `pkg-config --libs rondo-http`.
//
//     tls_context.hpp    what a side trusts, and who it says it is
//     tls_stream.hpp     connect_tls, start_tls, tls_stream
//     tls_listener.hpp   tls_listener, for `serve`
//     tls_error.hpp      errors
#pragma once

#include <rondo/tls_context.hpp>
#include <rondo/tls_error.hpp>
#include <rondo/tls_listener.hpp>
#include <rondo/tls_stream.hpp>
