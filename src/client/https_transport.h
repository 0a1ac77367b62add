// The API over the network: HTTP/2 or 1.1, a client certificate (in the endpoint's TLS context) or
// a bearer token. Several servers may be named: the next is taken when the current one is gone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/transport.h"
#include "net/http_client.h"

namespace skiff::client {

struct HttpsOptions {
    std::vector<net::Endpoint> servers;   // at least one
    // Asked for every request, on the loop, so that a renewed token counts at once; "" for none.
    std::function<std::string()> bearer_token;
    std::string user_agent = "skiff";
    std::function<std::unique_ptr<net::HttpClient>(net::Loop&, net::Endpoint)> connect =
        net::make_http_client;
};

// Answers and sink calls come on the loop, which outlives the transport.
std::unique_ptr<Transport> make_https_transport(net::Loop& loop, HttpsOptions options);

}   // namespace skiff::client
