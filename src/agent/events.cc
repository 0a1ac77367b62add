#include "agent/events.h"

namespace skiff::agent {

namespace {

class ApiRecorder final : public EventRecorder {
  public:
    ApiRecorder(Executor& executor, client::Transport& transport, std::string host)
        : recorder_{executor, transport, {.component = "kubelet", .host = std::move(host)}} {}

    void tell(const client::ObjectReference& about, EventText text) override {
        recorder_.record(about,
                         text.warning ? client::EventType::Warning : client::EventType::Normal,
                         text.reason, text.message);
    }

  private:
    client::EventRecorder recorder_;
};

}   // namespace

std::unique_ptr<EventRecorder> make_event_recorder(Executor& executor, client::Transport& transport,
                                                   std::string host) {
    return std::make_unique<ApiRecorder>(executor, transport, std::move(host));
}

}   // namespace skiff::agent
