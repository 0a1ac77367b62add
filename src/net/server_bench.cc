// A server that answers every request with a few bytes, for h2load and curl:
//   net_bench PORT CERTIFICATE KEY     (no certificate: plain)
#include <cstdio>
#include <cstdlib>

#include "net/listen.h"
#include "net/server.h"

int main(int count, char** arguments) {
    using namespace skiff;
    const auto port = static_cast<uint16_t>(count > 1 ? std::atoi(arguments[1]) : 8080);
    std::shared_ptr<net::TlsContext> tls;
    if (count > 3) {
        const auto certificate = read_file(arguments[2]);
        const auto key = read_file(arguments[3]);
        if (!certificate || !key) return 1;
        auto made = net::make_server_tls(*certificate, *key, *certificate);
        if (!made) return 1;
        tls = *made;
    }
    auto listener = net::listen_tcp("127.0.0.1", port);
    if (!listener) {
        std::fputs((listener.error().message + "\n").c_str(), stderr);
        return 1;
    }
    const Slice body{Bytes{"hello, world\n"}};
    const auto loop = net::make_loop(os_clock());
    auto server =
        net::make_server({loop.get()}, *std::move(listener), tls,
                         [&body](net::Request, std::shared_ptr<net::Responder> responder) {
                             net::Response response;
                             response.headers.add("content-type", "text/plain");
                             response.body.push_back(body);
                             responder->send(std::move(response));
                         });
    if (!server) return 1;
    loop->run();
}
