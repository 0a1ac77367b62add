// One request on its way through the pipeline. It is answered exactly once, now or later, from any
// thread; the one who parks it keeps the shared pointer.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apiserver/audit.h"
#include "apiserver/request_info.h"
#include "apiserver/user.h"
#include "net/http.h"

namespace skiff::apiserver {

struct ServedResource;

class Call {
  public:
    // In process when `responder` is null: then nothing can be upgraded.
    Call(net::Request incoming, std::shared_ptr<net::Responder> responder,
         std::function<void(net::Response)> reply)
        : request{std::move(incoming)},
          responder_{std::move(responder)},
          reply_{std::move(reply)} {}
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    net::Request request;
    RequestInfo info;
    std::optional<Result<>> understood;   // how reading `info` went; absent: nobody has yet
    RequestOptions options;
    Negotiated accepted;
    User user;
    const ServedResource* resource = nullptr;   // set for resource requests
    bool impersonates = false;                  // `user` is not who was authenticated
    std::shared_ptr<AuditEntry> audit;          // null: the audit log is told nothing
    void annotate(std::string_view key, std::string value) {   // for the audit log
        if (audit) audit->annotations.insert_or_assign(std::string{key}, std::move(value));
    }
    bool applies = false;   // a server-side apply, which records its own managed fields
    std::vector<std::string> warnings;   // become Warning headers, without code and agent

    void answer(net::Response response);
    void fail(const Error& error);
    // Answers with a 101 and hands the connection over (HTTP/1.1 only).
    void upgrade(net::Headers headers, std::function<void(std::unique_ptr<net::RawStream>)> take);
    bool answered() const { return answered_; }
    net::Responder* responder() { return responder_.get(); }
    // May change the answer on its way out: the audit log.
    std::function<void(net::Response& response)> on_response;
    // Told when the answer's status is known, in this order: metrics, whoever waits.
    void when_answered(std::function<void(int status)> told) {
        when_answered_.push_back(std::move(told));
    }

  private:
    std::shared_ptr<net::Responder> responder_;
    std::function<void(net::Response)> reply_;
    void tell(int status);

    std::vector<std::function<void(int status)>> when_answered_;
    bool answered_ = false;
};
using CallPtr = std::shared_ptr<Call>;

// Runs a function that gives a Result; an error becomes the call's answer.
template <class F>
void guard(const CallPtr& call, F&& body) {
    if (Result<> done = std::forward<F>(body)(); !done) call->fail(done.error());
}

}   // namespace skiff::apiserver
