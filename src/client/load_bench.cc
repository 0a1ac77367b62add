// The loader of ./x bench api: requests that differ from each other, and many watches at once.
//   client_bench requests METHOD TYPE CONNECTIONS STREAMS SECONDS PATH BODY
//   client_bench watches WATCHES CONNECTIONS RATE SECONDS PATH BODY
// with SERVER=HOST:PORT, CA (a file) and TOKEN in the environment. "%n" in PATH and in BODY (a
// file) becomes a running number, "%3n" the same below 1,000, "%t" the nanosecond; with one stream
// it speaks HTTP/1.1. Tells one line of JSON.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/os.h"
#include "base/text.h"
#include "net/http_client.h"

namespace skiff::client {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::string filled(std::string_view text, int64_t number, int64_t nanoseconds) {
    std::string out;
    while (!text.empty()) {
        const auto at = std::min(text.find('%'), text.size());
        out += text.substr(0, at);
        text.remove_prefix(at);
        if (text.starts_with("%n"))
            append(out, number);
        else if (text.starts_with("%3n"))
            append(out, number % 1000);
        else if (text.starts_with("%t"))
            append(out, nanoseconds);
        else
            out += text.substr(0, 1);
        text.remove_prefix(std::min(text.size(), text.starts_with("%n") || text.starts_with("%t")
                                                     ? size_t{2}
                                                 : text.starts_with("%3n") ? size_t{3}
                                                                           : size_t{1}));
    }
    return out;
}

int64_t nanoseconds_now() { return os_clock().monotonic().time_since_epoch().count(); }

class Latencies {
  public:
    void add(int64_t nanoseconds) {
        all_.push_back(static_cast<uint32_t>(std::clamp<int64_t>(nanoseconds / 1000, 0, 1u << 31)));
    }
    uint32_t share(double part) {
        if (all_.empty()) return 0;
        const auto at =
            all_.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(all_.size() - 1));
        std::ranges::nth_element(all_, at);
        return *at;
    }

  private:
    std::vector<uint32_t> all_;   // microseconds
};

struct Server {
    std::string token = environment("TOKEN");
    net::Endpoint endpoint;

    static Result<Server> from_environment() {
        Server server;
        const auto address = environment("SERVER");
        const auto [host, port] = cut(address, ':');
        server.endpoint.host = host;
        server.endpoint.port = parse_number<uint16_t>(port.value_or("")).value_or(0);
        TRY(const auto authority, read_file(environment("CA")));
        TRY(server.endpoint.tls, net::make_client_tls(authority, {}, {}));
        return server;
    }
    net::ClientRequest request(std::string method, std::string target) const {
        net::ClientRequest request{.method = std::move(method), .target = std::move(target)};
        request.headers.add("authorization", concat("Bearer ", token));
        request.timeout = std::chrono::seconds{60};
        return request;
    }
};

// One request after the other, `streams` at a time on each connection, until the time is over.
class Requests {
  public:
    struct What {
        std::string method, type, path, body;
        int connections = 1, streams = 1, seconds = 5;
    };
    Requests(const Server& server, What what) : server_{server}, what_{std::move(what)} {}

    void run() {
        auto endpoint = server_.endpoint;
        endpoint.prefer_http2 = what_.streams > 1;
        for (int i = 0; i < what_.connections; ++i)
            clients_.push_back(net::make_http_client(*loop_, endpoint));
        begun_ = nanoseconds_now();
        until_ = begun_ + int64_t{what_.seconds} * 1'000'000'000;
        loop_->post([this] {
            slots_.resize(static_cast<size_t>(what_.connections * what_.streams));
            for (size_t i = 0; i < slots_.size(); ++i) next(i);
        });
        loop_->run();
        const auto seconds = static_cast<double>(ended_ - begun_) / 1e9;
        std::printf(
            "{\"requests\":%lld,\"failed\":%lld,\"seconds\":%.3f,\"bytes\":%lld,"
            "\"p50_us\":%u,\"p99_us\":%u,\"problem\":\"%s\"}\n",
            static_cast<long long>(done_), static_cast<long long>(failed_), seconds,
            static_cast<long long>(bytes_), latencies_.share(0.5), latencies_.share(0.99),
            problem_.c_str());
    }

  private:
    struct Slot {
        std::unique_ptr<net::HttpClient::Exchange> exchange;
        int64_t begun = 0;
        int status = 0;
    };

    void next(size_t index) {
        auto& slot = slots_[index];
        slot.exchange.reset();
        slot.begun = nanoseconds_now();
        if (slot.begun >= until_) {
            if (++ended_slots_ == slots_.size()) loop_->stop();
            return;
        }
        const auto number = number_++;
        auto request = server_.request(what_.method, filled(what_.path, number, slot.begun));
        if (!what_.type.empty()) request.headers.add("content-type", what_.type);
        request.body = filled(what_.body, number, slot.begun);
        net::ExchangeSink sink;
        sink.head = [&slot](int status, const net::Headers&) { slot.status = status; };
        sink.data = [this, &slot](std::string_view bytes) {
            bytes_ += static_cast<int64_t>(bytes.size());
            if (slot.status >= 400 && problem_.empty()) note(bytes);
        };
        sink.end = [this, index](Result<> how) { ended(index, how); };
        auto& client = *clients_[index / static_cast<size_t>(what_.streams)];
        slot.exchange = client.start(std::move(request), std::move(sink));
    }

    void ended(size_t index, const Result<>& how) {
        auto& slot = slots_[index];
        ended_ = nanoseconds_now();
        latencies_.add(ended_ - slot.begun);
        ++done_;
        if (!how || slot.status >= 400) ++failed_;
        if (!how && problem_.empty()) note(how.error().message);
        loop_->post([this, index] { next(index); });
    }

    void note(std::string_view text) {
        for (const char c : text.substr(0, 200)) problem_ += c == '"' || c == '\\' ? '\'' : c;
    }

    const Server& server_;
    const What what_;
    std::unique_ptr<net::Loop> loop_ = net::make_loop(os_clock());
    std::vector<std::unique_ptr<net::HttpClient>> clients_;
    std::vector<Slot> slots_;
    size_t ended_slots_ = 0;
    int64_t begun_ = 0, until_ = 0, ended_ = 0, number_ = 0, done_ = 0, failed_ = 0, bytes_ = 0;
    Latencies latencies_;
    std::string problem_;
};

// Many watches of one collection, and a writer that changes an object so many times a second.
class Watches {
  public:
    struct What {
        std::string path, body;   // of the collection, and of the object PATH/bench that is patched
        int watches = 1000, connections = 8, rate = 100, seconds = 5;
    };
    Watches(const Server& server, What what) : server_{server}, what_{std::move(what)} {}

    void run() {
        auto endpoint = server_.endpoint;
        for (int i = 0; i < what_.connections; ++i)
            clients_.push_back(net::make_http_client(*loop_, endpoint));
        writer_ = net::make_http_client(*loop_, endpoint);
        seen_.resize(static_cast<size_t>(what_.watches));
        loop_->post([this] {
            for (size_t i = 0; i < seen_.size(); ++i) open(i);
        });
        loop_->run();
        const auto seconds = static_cast<double>(last_ - begun_) / 1e9;
        std::printf(
            "{\"events\":%lld,\"expected\":%lld,\"seconds\":%.3f,\"bytes\":%lld,"
            "\"p50_us\":%u,\"p99_us\":%u,\"problem\":\"%s\"}\n",
            static_cast<long long>(events_), static_cast<long long>(written_) * what_.watches,
            seconds, static_cast<long long>(bytes_), latencies_.share(0.5), latencies_.share(0.99),
            problem_.c_str());
    }

  private:
    struct Seen {
        std::unique_ptr<net::HttpClient::Exchange> exchange;
        std::string rest;   // of a line; kept by those that are timed
    };

    void open(size_t index) {
        auto request = server_.request(
            "GET", concat(what_.path, "?watch=true&resourceVersion=", environment("VERSION")));
        net::ExchangeSink sink;
        sink.head = [this](int status, const net::Headers&) {
            if (status != 200) problem_ = concat("a watch was answered ", status);
            if (++opened_ == seen_.size()) begin();
        };
        sink.data = [this, index](std::string_view bytes) { arrived(index, bytes); };
        sink.end = [this](Result<> how) {
            if (!over_) problem_ = how ? "a watch ended" : how.error().message;
        };
        seen_[index].exchange = clients_[index % clients_.size()]->start(std::move(request), sink);
    }

    void begin() {
        begun_ = last_ = nanoseconds_now();
        until_ = begun_ + int64_t{what_.seconds} * 1'000'000'000;
        tick();
    }

    // Writes what is due; when one is not through yet the others wait for it, as they would anyway.
    void tick() {
        const auto now = nanoseconds_now();
        if (now >= until_) return finish_when_quiet();
        const auto due = (now - begun_) * what_.rate / 1'000'000'000;
        if (written_ <= due && !writing_) write();
        loop_->after(std::chrono::microseconds{500}, [this] { tick(); });
    }

    void write() {
        writing_ = true;
        auto request = server_.request("PATCH", concat(what_.path, "/bench"));
        request.headers.add("content-type", "application/merge-patch+json");
        request.body = filled(what_.body, written_, nanoseconds_now());
        net::ExchangeSink sink;
        sink.head = [this](int status, const net::Headers&) {
            if (status != 200) problem_ = concat("a write was answered ", status);
        };
        sink.data = [](std::string_view) {};
        sink.end = [this](Result<>) {
            ++written_;
            loop_->post([this] {
                written_exchange_.reset();
                writing_ = false;
            });
        };
        written_exchange_ = writer_->start(std::move(request), std::move(sink));
    }

    void arrived(size_t index, std::string_view bytes) {
        const auto lines = std::ranges::count(bytes, '\n');
        events_ += lines;
        bytes_ += static_cast<int64_t>(bytes.size());
        if (lines) last_ = nanoseconds_now();
        if (index % 16) return;
        auto& rest = seen_[index].rest;
        rest += bytes;
        size_t begin = 0;
        for (size_t end; (end = rest.find('\n', begin)) != rest.npos; begin = end + 1) {
            constexpr std::string_view mark = R"("t":")";
            const auto line = std::string_view{rest}.substr(begin, end - begin);
            const auto at = line.find(mark);
            if (at == line.npos) continue;
            const auto digits = line.substr(at + mark.size());
            if (const auto sent = parse_number<int64_t>(digits.substr(0, digits.find('"'))))
                latencies_.add(last_ - *sent);
        }
        rest.erase(0, begin);
    }

    void finish_when_quiet() {
        const bool all = events_ >= written_ * what_.watches && !writing_;
        if (all || nanoseconds_now() > until_ + 20'000'000'000) {
            over_ = true;
            return loop_->stop();
        }
        loop_->after(std::chrono::milliseconds{20}, [this] { finish_when_quiet(); });
    }

    const Server& server_;
    const What what_;
    std::unique_ptr<net::Loop> loop_ = net::make_loop(os_clock());
    std::vector<std::unique_ptr<net::HttpClient>> clients_;
    std::unique_ptr<net::HttpClient> writer_;
    std::unique_ptr<net::HttpClient::Exchange> written_exchange_;
    std::vector<Seen> seen_;
    size_t opened_ = 0;
    bool writing_ = false, over_ = false;
    int64_t begun_ = 0, until_ = 0, last_ = 0, written_ = 0, events_ = 0, bytes_ = 0;
    Latencies latencies_;
    std::string problem_;
};

int main_of(const std::vector<std::string>& words) {
    const auto server = Server::from_environment();
    if (!server) return std::fprintf(stderr, "%s\n", server.error().message.c_str()), 1;
    const auto number = [&](size_t at) { return parse_number<int>(words[at]).value_or(1); };
    if (words.size() == 8 && words[0] == "requests") {
        Requests{*server,
                 {.method = words[1],
                  .type = words[2],
                  .path = words[6],
                  .body = words[7].empty() ? "" : read_file(words[7]).value_or(""),
                  .connections = number(3),
                  .streams = number(4),
                  .seconds = number(5)}}
            .run();
        return 0;
    }
    if (words.size() == 7 && words[0] == "watches") {
        Watches{*server,
                {.path = words[5],
                 .body = read_file(words[6]).value_or(""),
                 .watches = number(1),
                 .connections = number(2),
                 .rate = number(3),
                 .seconds = number(4)}}
            .run();
        return 0;
    }
    std::fprintf(stderr, "see the head of load_bench.cc\n");
    return 2;
}

}   // namespace
}   // namespace skiff::client

int main(int count, char** arguments) {
    return skiff::client::main_of({arguments + 1, arguments + count});
}
