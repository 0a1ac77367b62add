#include <optional>

#include "base/guarded.h"
#include "base/text.h"
#include "net/http_client.h"

namespace skiff::net {
namespace {

// Shared by the task that waits and the loop that answers. Once abandoned, the loop no longer
// touches the client, which may be gone.
struct Fetch {
    struct Progress {
        bool abandoned = false;
        bool ended = false;
        std::unique_ptr<HttpClient::Exchange> exchange;   // made and destroyed on the loop
    };
    Guarded<Progress> progress;
    std::shared_ptr<Waiter> waiter;
    WholeResponse response;   // the loop's until ended
    Result<> result;
    size_t body_bytes_max = 0;
};

void end(const std::shared_ptr<Fetch>& fetch, Result<> result) {
    const bool first = fetch->progress.use([](Fetch::Progress& progress) {
        return !std::exchange(progress.ended, true) && !progress.abandoned;
    });
    if (!first) return;
    fetch->result = std::move(result);
    fetch->waiter->notify();
}

// On the loop; not from within a callback of the exchange.
void drop_exchange(const std::shared_ptr<Fetch>& fetch) {
    const auto dropped =
        fetch->progress.use([](Fetch::Progress& progress) { return std::move(progress.exchange); });
}

ExchangeSink sink_for(const std::shared_ptr<Fetch>& fetch, Loop& loop) {
    return {.head =
                [fetch](int status, const Headers& headers) {
                    fetch->response.status = status;
                    fetch->response.headers = headers;
                },
            .data =
                [fetch, &loop](std::string_view data) {
                    auto& body = fetch->response.body;
                    if (body.size() + data.size() <= fetch->body_bytes_max) {
                        body.append(data);
                        return;
                    }
                    end(fetch, fail(Reason::RequestEntityTooLarge,
                                    concat("the answer is larger than ", fetch->body_bytes_max,
                                           " bytes")));
                    loop.post([fetch] { drop_exchange(fetch); });
                },
            .end = [fetch](Result<> result) { end(fetch, std::move(result)); }};
}

}   // namespace

Result<WholeResponse> fetch(Executor& executor, Loop& loop, HttpClient& client,
                            ClientRequest request, size_t body_bytes_max) {
    ASSERT(!loop.in_loop());
    const auto state = std::make_shared<Fetch>();
    state->waiter = executor.make_waiter();
    state->body_bytes_max = body_bytes_max;
    const auto timeout = request.timeout;
    std::optional<MonoTime> deadline;
    if (timeout > Duration::zero()) deadline = executor.clock().monotonic() + timeout;
    loop.post([state, &client, &loop, request = std::move(request)]() mutable {
        state->progress.use([&](Fetch::Progress& progress) {
            if (progress.abandoned) return;
            progress.exchange = client.start(std::move(request), sink_for(state, loop));
        });
    });
    const bool answered = state->waiter->wait_until(deadline);
    bool ended = answered;
    if (!answered)
        ended = state->progress.use([](Fetch::Progress& progress) {
            progress.abandoned = !progress.ended;
            return progress.ended;
        });
    if (ended && !answered) state->waiter->wait();   // it is being notified just now
    loop.post([state] { drop_exchange(state); });
    if (!ended) return fail(Reason::Timeout, "no answer within " + go_duration(timeout));
    TRY_OK(std::move(state->result));
    return std::move(state->response);
}

}   // namespace skiff::net
